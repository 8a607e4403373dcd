"""In which stacks a rule holds; reports and documentation show the functions' names."""

from __future__ import annotations

from policy.model import Facts


def production(facts: Facts) -> bool:
    """The environment is prod or production."""
    return facts.production


def kept(facts: Facts) -> bool:
    """It is never thrown away as a whole: protected, production or staging."""
    return facts.kept


def protected(facts: Facts) -> bool:
    """It loses nothing that holds or opens recordings: protected now or before the change, or production."""
    return facts.protected


def outside_production(facts: Facts) -> bool:
    """In production a stricter rule says it."""
    return not facts.production
