"""What a check is and how a table of them runs: in order, each with its time, none in vain.

Owns results, dependencies and the map from errors to the fix in words. Knows nothing of storage: the checks
themselves are in the modules beside this one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from recordings.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    CredentialsError,
    HmsError,
    HmsUnauthorisedError,
    ObjectNotFoundError,
    OrganisationPolicyError,
    RecordingsError,
    StoreUnreachableError,
    WrongRegionError,
)


class Status(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    WARNING = "warning"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Check:
    """The outcome of one check; `fix` is empty unless there is something to do, `seconds` is what it took."""

    id: str
    title: str
    status: Status
    detail: str
    fix: str = ""
    seconds: float = 0.0


class Fault(Exception):  # noqa: N818 - an outcome, not an error: it never leaves `run_probe`
    """The check ran and the thing is not as it should be: what was seen, and what to do."""

    def __init__(self, detail: str, fix: str) -> None:
        super().__init__(detail)
        self.fix = fix


class Warned(Exception):  # noqa: N818 - an outcome, not an error: it never leaves `run_probe`
    """The check ran and something is not as it could be, which this stack cannot change: what was seen, who can."""

    def __init__(self, detail: str, fix: str) -> None:
        super().__init__(detail)
        self.fix = fix


class NotRun(Exception):  # noqa: N818 - an outcome, not an error: it never leaves `run_probe`
    """The check cannot or need not run here: why, and what would let it run."""

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.fix = fix


@dataclass(frozen=True)
class Probe:
    """One row of the table: `run` gives what it saw or raises Fault, Warned, NotRun or a RecordingsError.

    It runs only if every check named in `needs` has passed, be it with a warning.
    """

    id: str
    title: str
    run: Callable[[], str]
    needs: tuple[str, ...] = ()


CREDENTIALS: Final = (
    "credentials: the key of the stack outputs is unknown, inactive or deleted. Run `pulumi refresh` and `pulumi up`, "
    "then take the outputs again; if you rotated keys, the other slot may be the live one"
)
FORBIDDEN: Final = (
    "organisation policy: nothing in this stack is wrong, and no deployment changes it; ask the organisation's "
    "administrator for the exception that the message names"
)
PERMISSIONS: Final = (
    "permissions: compare who may do what in the bucket (policies, roles and their conditions) with the stack "
    "(`pulumi refresh`, `pulumi up`); a permissions boundary or an organisation's policy may take rights away"
)
REGION: Final = (
    "region: the stack outputs and the bucket disagree. Correct the region in the stack's configuration, run "
    "`pulumi up`, then `recordings register`, since 100ms uploads to the region that it was given"
)
EXPIRY: Final = "expiry: a URL must die at its time. Check this machine's clock, and that the bucket is not public"
CORS: Final = (
    "CORS: compare `recordings:corsOrigins` and the bucket's rules with what your pages use "
    "(scheme://host[:port], no slash), then `pulumi up`"
)
TEMPLATE: Final = "template uses other storage: run `recordings register`, and look who else writes to this template"

FIXES: Final[Mapping[type[RecordingsError], str]] = {
    OrganisationPolicyError: FORBIDDEN,
    CredentialsError: CREDENTIALS,
    AccessDeniedError: PERMISSIONS,
    WrongRegionError: REGION,
    BucketNotFoundError: "the bucket is gone: run `pulumi up`, or give the outputs of the stack that is deployed",
    ObjectNotFoundError: "what was just written is gone: look for another writer, or a lifecycle rule on the prefix",
    StoreUnreachableError: "network: check the way to the store from this machine (proxy, firewall, name resolution)",
    HmsUnauthorisedError: "100ms credentials: check HMS_ACCESS_KEY and HMS_APP_SECRET; are they of this workspace?",
    HmsError: "100ms: see its message; try again, or check HMS_API_URL",
}


def run_probes(probes: Iterable[Probe], report: Callable[[Check], None]) -> list[Check]:
    """Run each probe in order, report each outcome at once, and give them all."""
    done: dict[str, Check] = {}
    for probe in probes:
        missing = [needed for needed in probe.needs if done[needed].status not in (Status.PASSED, Status.WARNING)]
        check = _not_run(probe, missing) if missing else run_probe(probe)
        done[probe.id] = check
        report(check)
    return list(done.values())


def run_probe(probe: Probe) -> Check:
    """Run one probe, whatever it needs, and time it."""
    begun = time.monotonic()
    fix = ""
    try:
        status, detail = Status.PASSED, probe.run()
    except Fault as fault:
        status, detail, fix = Status.FAILED, str(fault), fault.fix
    except Warned as warned:
        status, detail, fix = Status.WARNING, str(warned), warned.fix
    except NotRun as reason:
        status, detail, fix = Status.NOT_RUN, str(reason), reason.fix
    except RecordingsError as error:
        status, detail, fix = Status.FAILED, str(error), fix_for(error)
    return Check(probe.id, probe.title, status, detail, fix, time.monotonic() - begun)


def fix_for(error: RecordingsError) -> str:
    """What to do about an error, in words; the message itself where nothing more can be said."""
    return next((FIXES[kind] for kind in type(error).__mro__ if kind in FIXES), "see the message")


def _not_run(probe: Probe, missing: list[str]) -> Check:
    return Check(probe.id, probe.title, Status.NOT_RUN, f"needs {', '.join(missing)}")
