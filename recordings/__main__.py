"""`python -m recordings` is the command `recordings`."""

from recordings.cli import main

main()
