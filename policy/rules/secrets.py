"""What is a secret is marked as one: else it stands in clear in the state, in logs and in previews.

The SDKs mark the secrets of keys, but not under mocks, and not what a program takes out of them and exports.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from policy.model import Facts, Mark, NotKnownError, Planned, Rule, Severity

OUTPUTS: Final = {
    "aws:iam:AccessKey": ("secret", "sesSmtpPasswordV4"),
    "aws:iam:UserLoginProfile": ("password",),
    "gcp:storage:HmacKey": ("secret",),
    "gcp:serviceaccount:Key": ("privateKey",),
}
"""Outputs that hold a secret, by kind of resource."""
INPUTS: Final = {
    "pulumi:providers:aws": ("secretKey", "token"),
    "pulumi:providers:gcp": ("credentials", "accessToken"),
}
"""Inputs that hold a secret and that no SDK marks."""
EXPORTS: Final = ("pulumi:pulumi:Stack", "recordings:index:S3RecordingStorage", "recordings:index:GcsRecordingStorage")
_NAMED: Final = re.compile(r"secret|password|passphrase|private_?key|token|credential|(writer|reader)Keys$", re.I)
_NO_SECRET: Final = re.compile(r"(access_?)?key_?id$|secret_?(name|arn|id)$", re.I)


def is_secret_name(name: str) -> bool:
    """Whether something of this name is a secret, as far as a name can tell."""
    return bool(_NAMED.search(name) or name == "serviceAccountKey") and not _NO_SECRET.search(name)


def _in_clear(value: Any) -> bool:
    """Whether a value shows something. Raises NotKnownError where that cannot be told."""
    if value is Mark.UNKNOWN:
        raise NotKnownError("output")
    if isinstance(value, Mapping) and any(map(is_secret_name, value)):
        return any(_in_clear(item) for name, item in value.items() if is_secret_name(name))
    if isinstance(value, Mapping | list):
        return any(_in_clear(item) for item in (value.values() if isinstance(value, Mapping) else value))
    return value is not Mark.SECRET and value not in (None, "")


def _outputs(resource: Planned, facts: Facts) -> Iterator[str]:
    for name in OUTPUTS[resource.kind]:
        if _in_clear((resource.outputs or {}).get(name)):
            yield f"{name} is not marked as a secret"


def _inputs(resource: Planned, facts: Facts) -> Iterator[str]:
    for name in INPUTS[resource.kind]:
        if _in_clear(resource.inputs.get(name)):
            yield f"{name} is not marked as a secret"


def _exports(resource: Planned, facts: Facts) -> Iterator[str]:
    if resource.outputs is not None:
        for name in sorted(filter(is_secret_name, resource.outputs)):
            if _in_clear(resource.outputs[name]):
                yield f"the output {name} is not marked as a secret"
        return
    for name in sorted(filter(is_secret_name, resource.old_outputs or {})):
        if _in_clear((resource.old_outputs or {})[name]):
            raise NotKnownError(f"{name} stands in clear in the state; whether it still will")


RULES: Final = (
    Rule(
        "secret-in-clear",
        Severity.MANDATORY,
        "It would be written to the state in clear, and shown in previews and logs.",
        "Wrap it in Output.secret (a configuration value: `pulumi config set --secret`), then replace it: it was "
        "exposed.",
        dict.fromkeys(OUTPUTS, _outputs) | dict.fromkeys(INPUTS, _inputs) | dict.fromkeys(EXPORTS, _exports),
    ),
)
