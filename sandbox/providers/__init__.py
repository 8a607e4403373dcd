"""Stand-in resource providers: what the embedded engine and a real CLI call instead of the official plugins."""
