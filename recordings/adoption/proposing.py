"""From what is there to a proposal: which configuration takes it over, and what stands in the way.

Owns the order of the judgements. Reads by a `Surveyor`, writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from recordings.adoption.bucket import judge_bucket
from recordings.adoption.findings import Proposal, merge_tags
from recordings.adoption.lifecycle import judge_lifecycle
from recordings.adoption.parts import Part
from recordings.adoption.stack_file import StackFile
from recordings.adoption.survey import Surveyor, UserFacts
from recordings.adoption.users import judge_user
from recordings.errors import GuardError


@dataclass(frozen=True)
class Wish:
    """What is to be taken over, as the command line names it."""

    stack: str
    bucket: str
    user: str | None = None
    user_policy: str | None = None
    reader_user: str | None = None
    reader_policy: str | None = None
    prefix: str | None = None


def propose(wish: Wish, file: StackFile, surveyor: Surveyor) -> Proposal:
    """Look at everything and judge it. Raises StoreError, UsageError, and GuardError for the wrong account."""
    expected = file.value("expectedAccount")
    if expected is not None and (account := surveyor.account()) != str(expected):
        raise GuardError(
            f"the credentials belong to AWS account {account!r}: recordings:expectedAccount is {str(expected)!r}; "
            "nothing was changed. Switch to its credentials (AWS_PROFILE)"
        )
    proposal = Proposal()
    bucket = surveyor.bucket(wish.bucket)
    judge_bucket(proposal, bucket, file, wish.stack)
    if wish.prefix is not None:
        proposal.set("pathPrefix", wish.prefix)
    prefix = wish.prefix if wish.prefix is not None else str(file.value("pathPrefix") or "")
    judge_lifecycle(proposal, bucket, file, prefix)
    users = [
        (role, surveyor.user(name), policy)
        for role, name, policy in (
            (Part.WRITER, wish.user, wish.user_policy),
            (Part.READER, wish.reader_user, wish.reader_policy),
        )
        if name
    ]
    for role, facts, policy in users:
        judge_user(proposal, facts, role, policy, (bucket.name, bucket.region), file, wish.stack)
    tagged = [(f"bucket {bucket.name!r}", bucket.tags), *((_named(facts), facts.tags) for _, facts, _ in users)]
    merge_tags(proposal, file.value("tags"), tagged)
    proposal.set("adopt", [part.value for part in Part if part in proposal.parts])
    return proposal


def _named(facts: UserFacts) -> str:
    return f"user {facts.name!r}"
