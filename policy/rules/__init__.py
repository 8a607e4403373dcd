"""The rules by subject; `CATALOGUE` has them all, in the order in which reports show them."""

from __future__ import annotations

from typing import Final

from policy.model import Rule
from policy.rules import access, buckets, identities, keys, losses, retention, secrets

CATALOGUE: Final[tuple[Rule, ...]] = (
    *access.RULES,
    *secrets.RULES,
    *losses.RULES,
    *retention.RULES,
    *identities.RULES,
    *buckets.RULES,
    *keys.RULES,
)
"""Every rule."""
