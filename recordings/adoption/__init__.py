"""Taking over what exists: see `recordings.adoption.survey`, and `docs/adoption.md` for who runs it."""
