"""Proof that a key works before it is handed over, and that the old one is refused before it is removed.

Owns which checks that takes; the checks themselves are `recordings.verification`. Writes under `<prefix>.verify/` and
removes it again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import httpx

from recordings.errors import AccessDeniedError, CheckFailedError, CredentialsError
from recordings.outputs import KeySlot, StackOutputs
from recordings.retry import Attempts, RetryPolicy
from recordings.rotation.slots import Role, issued
from recordings.stores import AccessKey, Identity, Store, open_store
from recordings.verification import Check, Context, Probe, Status, http_client, verify
from recordings.verification.checks import run_probes
from recordings.verification.cleanup import cleanup
from recordings.verification.context import KEY_PATIENCE
from recordings.verification.storage import reader_head, writer_abort, writer_put

Report = Callable[[Check], None]
Tell = Callable[[str], None]


def prove(outputs: StackOutputs, role: Role, slot: str, report: Report, tell: Tell) -> None:
    """Run the whole verification with the key of `slot`. Raises CheckFailedError naming the checks that failed."""
    with http_client() as http:
        context = _context(outputs, role, slot, tell, http)
        _conclude(verify(context, None, (), report), role, slot)


def probe(
    outputs: StackOutputs,
    role: Role,
    old: str,
    new: str,
    report: Report,
    tell: Tell,
    patience: timedelta = KEY_PATIENCE,
) -> None:
    """Use the key of `new`, and see that of `old` refused, if there is one, for as long as `patience` says.

    Raises CheckFailedError.
    """
    with http_client() as http:
        context = _context(outputs, role, new, tell, http)
        context.patience = patience
        probes = [
            Probe("writer-put", "the writer's key works and uploads", partial(writer_put, context)),
            Probe("writer-abort", "the writer aborts an upload", partial(writer_abort, context), ("writer-put",)),
            Probe("reader-head", "the reader's key works and signs", partial(reader_head, context), ("writer-put",)),
        ]
        if old in issued(outputs, role):
            refused = partial(_refused, context, role, _store(outputs, issued(outputs, role)[old]))
            probes.append(Probe("old-key", f"denied: the key in slot {old}", refused, ("writer-put",)))
        try:
            done = run_probes(probes, report)
        finally:
            cleanup(context)
        _conclude(done, role, new)


def _context(outputs: StackOutputs, role: Role, slot: str, tell: Tell, http: httpx.Client) -> Context:
    """Both identities as they are, but for the one whose key is to be proved."""
    stores = {each: open_store(outputs, Identity(each)) for each in Role}
    key = issued(outputs, role)[slot]
    stores[role] = _store(outputs, key)
    return Context(
        outputs=outputs,
        slot=slot if role is Role.WRITER else outputs.registered_key,
        writer=stores[Role.WRITER],
        reader=stores[Role.READER],
        operator=open_store(outputs, Identity.OPERATOR),
        tell=tell,
        http=http,
    )


def _store(outputs: StackOutputs, key: KeySlot) -> Store:
    return open_store(outputs, AccessKey(key.id, key.secret))


def _refused(context: Context, role: Role, store: Store) -> str:
    """That the store does not take this key any more; a key that was put to sleep may be taken for some seconds yet."""
    policy = RetryPolicy(attempts=1000, budget=context.patience.total_seconds(), base=0.5, cap=5.0)
    attempts = Attempts(policy, context.timing)
    while True:
        try:
            if role is Role.WRITER:
                store.put(f"{context.folder}old-key", b"old")
            else:
                store.head(context.small_key)
        except (CredentialsError, AccessDeniedError) as error:
            return type(error).__name__
        if not attempts.wait_again("the old key is still taken"):
            raise CheckFailedError("the key that was made inactive is still taken: look at it in the cloud's console")


def _conclude(checks: list[Check], role: Role, slot: str) -> None:
    failed = [f"{check.id}: {check.detail}" for check in checks if check.status is Status.FAILED]
    if failed:
        listed = "\n".join(f"  {each}" for each in failed)
        raise CheckFailedError(
            f"the {role}'s key in slot {slot} did not pass; the rotation stays where it is:\n{listed}\nMend that and "
            "run the command again, or go back with --rollback"
        )
