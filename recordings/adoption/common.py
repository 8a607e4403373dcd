"""What becomes of a bucket's CORS rules, and of the bucket at the stack's end, whoever stores it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from recordings.adoption.findings import Proposal
from recordings.adoption.stack_file import StackFile

METHODS: Final = frozenset({"GET", "HEAD"})
"""What the stack's CORS rule allows."""


@dataclass(frozen=True)
class CorsRule:
    """One rule that is there; `name` is its id or its number."""

    name: str
    methods: Sequence[str]
    origins: Sequence[str]
    headers: Sequence[str]


def judge_deletion(proposal: Proposal, file: StackFile) -> None:
    """Protect the bucket, unless the file says otherwise; find that its recordings could go with the stack."""
    if file.value("forceDestroy"):
        proposal.find(
            "forceDestroy",
            "recordings:forceDestroy is true: `destroy` would delete the bucket with every recording in it; set it to "
            "false",
        )
    elif file.given("protect") is None:
        proposal.set("protect", True)


def judge_cors(proposal: Proposal, rules: Sequence[CorsRule], headers: Sequence[str], file: StackFile) -> None:
    """Keep the origins, and find what the stack's one rule, which shows `headers`, does not allow."""
    readable = [rule for rule in rules if METHODS & {*rule.methods}]
    found = list(dict.fromkeys(origin for rule in readable for origin in rule.origins))
    wanted = file.given("corsOrigins")
    if wanted is None and found and "*" not in found:
        proposal.set("corsOrigins", found)
        wanted = found
    origins = wanted if isinstance(wanted, list) else ["*"]
    for rule in rules:
        lost = [
            *sorted({*rule.methods} - METHODS),
            *([] if "*" in origins else sorted({*rule.origins} - {*origins})),
            *sorted({*rule.headers} - {*headers}),
        ]
        if lost:
            proposal.find(f"cors:{rule.name}", f"CORS rule {rule.name!r} goes, and with it: {', '.join(lost)}")
