"""May `registeredKey` move, given what is deployed? Asked before anything is declared.

Settings alone see the new file. What is deployed the engine knows: the outputs of the last `up` that went well, which
any Pulumi engine gives to a program as the function `pulumi:pulumi:readStackOutputs` (the one behind StackReference).
A function call declares nothing, so that no preview shows it; a stack that was never deployed has no outputs.

Owns that comparison alone. Whether 100ms was given the new key is not known here: `recordings rotate` asks 100ms before
it goes on.
Source: https://github.com/pulumi/pulumi/blob/master/pkg/resource/deploy/builtins.go
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import pulumi

from components.settings_model import Settings
from recordings.errors import ConfigurationError
from recordings.outputs import KeyStatus

FUNCTION: Final = "pulumi:pulumi:readStackOutputs"
PAUSES: Final = (0.05, 0.1, 0.2, 0.4)
"""Seconds before the deployed outputs are asked for again."""


def check_handover(settings: Settings) -> None:
    """Raise ConfigurationError if 100ms' present key would go in the very `up` that names another one.

    Nothing is asked where nothing can go: with both slots active, or with a key that somebody else looks after.
    """
    active = [slot for slot, status in settings.writer_keys.items() if status is KeyStatus.ACTIVE]
    if len(active) < 2 and not settings.writer_external:
        check_moved(_deployed(), settings)


def check_moved(deployed: Mapping[str, Any], settings: Settings) -> None:
    """Compare with the outputs that are deployed, empty where nothing is. Raises ConfigurationError."""
    before, now = deployed.get("registeredKey"), settings.registered_key
    if before is None or before == now or settings.writer_keys.get(before) is KeyStatus.ACTIVE:
        return
    raise ConfigurationError(
        f"recordings:registeredKey = {now.value!r}: 100ms uploads with the key in slot {before!r} until it is told "
        f"otherwise, and this change would take that key away at once; nothing was declared. Keep {before}: active in "
        f"recordings:writerKeys until 100ms has the new key and no recording needs the old one, which `recordings "
        f"rotate --stack {settings.stack}` sees to step by step. If a rotation is under way, this file lacks its "
        "steps: take over the committed one"
    )


def _deployed() -> Mapping[str, Any]:
    """The outputs as the engine has them.

    Asked again where that fails: while `pulumi` begins an `up` it writes the very file that it is to read here, and a
    state in a folder is then empty for a moment.
    """
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    fault: Exception | None = None
    for pause in (0.0, *PAUSES):
        time.sleep(pause)
        try:
            answer = pulumi.runtime.invoke(FUNCTION, {"name": name}).value
        except Exception as error:  # the SDK raises Exception itself when a function fails
            fault = error
        else:
            return dict((answer or {}).get("outputs") or {})
    raise ConfigurationError(
        f"what is deployed of stack {name} cannot be read, so that it is not known whether this change would take "
        f"100ms' key away; nothing was declared. {fault}"
    )
