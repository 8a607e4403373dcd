"""What can go wrong in the engine, and the exit code that each ends the command with.

    EngineError                     exit code, as `pulumi` v3.260 has them
    ├── UsageError                      1      command line, project file or configuration cannot be used
    │   ├── UnconfirmedError            2      nobody can be asked, and nothing says that asking is not wanted
    │   └── UnsupportedError            1      something that Pulumi has and this engine has not
    ├── DeploymentError                 1      an operation failed; what was done is in the state
    ├── LockedError                     1      another run has the stack
    ├── StateError                      1      the state file cannot be used
    ├── StackNotFoundError              6
    ├── ChangesError                    7      --expect-no-changes, and there were changes
    └── CancelledError                  8      Ctrl-C

Messages name the thing, the bad value, the legal values and the next act. They never hold a secret.
"""

from __future__ import annotations

from typing import ClassVar


class EngineError(Exception):
    """Any failure that the engine foresees."""

    exit_code: ClassVar[int] = 1


class UsageError(EngineError):
    """The command line, the project file or the configuration cannot be used; nothing was changed."""


class UnconfirmedError(UsageError):
    """There is nobody to ask whether to go on, and no `--yes`."""

    exit_code = 2


class UnsupportedError(UsageError):
    """Pulumi has it, this engine has not; it is refused rather than ignored."""


class DeploymentError(EngineError):
    """An operation failed. What was done until then is in the state."""


class LockedError(EngineError):
    """Another run, of this engine or of `pulumi`, has the stack."""


class StateError(EngineError):
    """The state file cannot be read or trusted."""


class StackNotFoundError(EngineError):
    """No stack has this name, or none is selected."""

    exit_code = 6


class ChangesError(EngineError):
    """`--expect-no-changes` was given and there are changes."""

    exit_code = 7


class CancelledError(EngineError):
    """The user stopped the run."""

    exit_code = 8
