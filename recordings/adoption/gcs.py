"""From what is there on Google Cloud to a proposal: which configuration takes it over, and what stands in the way.

Owns the order of the judgements. Reads by a `Surveyor`, writes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from recordings.adoption.findings import Proposal
from recordings.adoption.gcs_parts import ACCOUNT_NAMES, PARTS
from recordings.adoption.parts import Part
from recordings.adoption.proposing import Wish
from recordings.adoption.stack_file import StackFile
from recordings.errors import GuardError, UsageError
from recordings.outputs import WriterAccess
from recordings.policies_gcs import reader_bindings, writer_bindings
from recordings.stores.gcs import library

if TYPE_CHECKING:
    from recordings.adoption.gcs_survey import BucketFacts, Surveyor


def propose(wish: Wish, file: StackFile, surveyor: Surveyor | None = None) -> Proposal:
    """Look at everything and judge it. Raises StoreError, UsageError, GuardError for the wrong project.

    ConfigurationError where Google's library is not installed.
    """
    library("gcs_operator")
    from recordings.adoption.gcs_bucket import judge_bucket, judge_lifecycle
    from recordings.adoption.gcs_survey import Surveyor

    if wish.user_policy or wish.reader_policy:
        raise UsageError("--user-policy and --reader-policy are AWS's: on Google bindings are added, none is replaced")
    if wish.user is not None and wish.user == wish.reader_user:
        raise UsageError(f"--user and --reader-user are both {wish.user!r}: one account cannot be writer and reader")
    surveyor = surveyor or Surveyor(file.at("gcp:project"))
    expected = file.value("expectedAccount")
    if expected is not None and surveyor.project != str(expected):
        raise GuardError(
            f"this is Google project {surveyor.project!r}: recordings:expectedAccount is {str(expected)!r}; nothing "
            "was changed. Correct gcp:project, or log in there"
        )
    proposal = Proposal()
    bucket = surveyor.bucket(wish.bucket)
    judge_bucket(proposal, bucket, surveyor.project, file, wish.stack_name)
    if wish.prefix is not None:
        proposal.set("pathPrefix", wish.prefix)
    prefix = wish.prefix if wish.prefix is not None else str(file.value("pathPrefix") or "")
    judge_lifecycle(proposal, bucket, file, prefix)
    _judge_accounts(proposal, wish, bucket, prefix, file, surveyor)
    proposal.set("adopt", [part.value for part in PARTS if part in proposal.parts])
    return proposal


def _judge_accounts(
    proposal: Proposal, wish: Wish, bucket: BucketFacts, prefix: str, file: StackFile, surveyor: Surveyor
) -> None:
    """Judge the accounts to take over; those that the stack makes must not be there."""
    from recordings.adoption.gcs_accounts import account_id, judge_account, judge_new_account

    access = WriterAccess(file.value("writerAccess") or WriterAccess.FULL)
    granted = {
        Part.WRITER: writer_bindings(bucket.name, prefix, access),
        Part.READER: reader_bindings(bucket.name, prefix),
    }
    for role, given in ((Part.WRITER, wish.user), (Part.READER, wish.reader_user)):
        if given is not None:
            id_ = account_id(given, surveyor.project, role)
            facts = surveyor.account(id_)
            if facts is None:
                raise UsageError(
                    f"there is no service account {given!r} in {surveyor.project}: leave it out to make one"
                )
            judge_account(proposal, facts, role, bucket, granted[role], file)
        elif not file.value(f"{role}External"):
            new = file.value(f"{role}Name") or ACCOUNT_NAMES[role].format(stack=wish.stack_name)
            if surveyor.account(new) is not None:
                judge_new_account(proposal, role, new)
