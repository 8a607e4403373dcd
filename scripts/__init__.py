"""What CI and the Makefile run around pulumi; thin."""
