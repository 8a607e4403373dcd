"""From what is there on AWS to a proposal: which configuration takes it over, and what stands in the way.

Owns the order of the judgements. Reads by a `Surveyor`, writes nothing.
"""

from __future__ import annotations

from recordings.adoption.bucket import judge_bucket
from recordings.adoption.findings import Proposal, merge_tags
from recordings.adoption.lifecycle import judge_lifecycle
from recordings.adoption.parts import DEFAULT_NAMES, Part
from recordings.adoption.proposing import Wish
from recordings.adoption.stack_file import StackFile
from recordings.adoption.survey import Surveyor, UserFacts
from recordings.adoption.users import judge_new_user, judge_user
from recordings.errors import GuardError


def propose(wish: Wish, file: StackFile, surveyor: Surveyor | None = None) -> Proposal:
    """Look at everything and judge it. Raises StoreError, UsageError, and GuardError for the wrong account."""
    surveyor = surveyor or Surveyor(file.at("aws:region"))
    expected = file.value("expectedAccount")
    if expected is not None and (account := surveyor.account()) != str(expected):
        raise GuardError(
            f"the credentials belong to AWS account {account!r}: recordings:expectedAccount is {str(expected)!r}; "
            "nothing was changed. Switch to its credentials (AWS_PROFILE)"
        )
    proposal = Proposal()
    bucket = surveyor.bucket(wish.bucket)
    judge_bucket(proposal, bucket, file, wish.stack_name)
    if wish.prefix is not None:
        proposal.set("pathPrefix", wish.prefix)
    prefix = wish.prefix if wish.prefix is not None else str(file.value("pathPrefix") or "")
    judge_lifecycle(proposal, bucket, file, prefix)
    users = _judge_users(proposal, wish, (bucket.name, bucket.region), file, surveyor)
    tagged = [(f"bucket {bucket.name!r}", bucket.tags), *((f"user {facts.name!r}", facts.tags) for facts in users)]
    merge_tags(proposal, file.value("tags"), tagged)
    proposal.set("adopt", [part.value for part in Part if part in proposal.parts])
    return proposal


def _judge_users(
    proposal: Proposal, wish: Wish, bucket: tuple[str, str], file: StackFile, surveyor: Surveyor
) -> list[UserFacts]:
    """Judge the users to take over, and give them; those that the stack makes must not be there."""
    found = []
    wishes = {
        Part.WRITER: (wish.user, wish.user_policy),
        Part.READER: (wish.reader_user, wish.reader_policy),
    }
    for role, (name, policy) in wishes.items():
        if name is not None:
            found.append(surveyor.user(name))
            judge_user(proposal, found[-1], role, policy, bucket, file, wish.stack_name)
        elif not file.value(f"{role}External"):
            new = file.value(f"{role}Name") or DEFAULT_NAMES[role].format(stack=wish.stack_name)
            if surveyor.has_user(new):
                judge_new_user(proposal, role, new)
    return found
