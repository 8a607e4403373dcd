"""What becomes of objects as they age, whoever stores them: the ages that are the same, and cheaper classes by age.

Owns the step to a cheaper class and the order of such steps. What a provider asks for beyond that is in
`components.s3_lifecycle` and `components.gcs_lifecycle`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from components.rules import days_from, require

ABORT_UPLOADS_DAYS: Final = 7
VERIFY_DAYS: Final = 1
VERIFY_FOLDER: Final = ".verify/"


class Transition(BaseModel):
    """Move recordings to `storage_class` when they are `after_days` old."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True, defer_build=True
    )
    storage_class: StrEnum = Field(alias="class")
    after_days: Annotated[int, BeforeValidator(days_from(0))] = Field(alias="afterDays")


def check_order(transitions: Sequence[Transition], order: Sequence[StrEnum], service: str) -> None:
    """Check that each step goes further down `order` than the one before it."""
    for first, then in pairwise(transitions):
        require(
            order.index(first.storage_class) < order.index(then.storage_class),
            f"can't move from {first.storage_class} to {then.storage_class}: {service} moves only down the list "
            f"{', '.join(order)}",
        )
