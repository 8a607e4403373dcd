"""The demo: the whole job in front of the reader, by the commands that a user would give."""
