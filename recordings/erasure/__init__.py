"""Erasing recordings for good, for deletion requests: what was found, removed, left behind, and never comes back."""
