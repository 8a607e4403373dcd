"""From a preview to planned resources and the facts of their stack.

Owns the form of `pulumi preview --json`, which the embedded engine's steps have too, and what the stack's configuration
says of the stack. Source: https://www.pulumi.com/docs/iac/cli/commands/pulumi_preview/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from policy.model import REMAINING, Facts, Mark, Operation, Planned, Properties, peek
from recordings.errors import UsageError
from recordings.outputs import KEPT, PRODUCTION
from recordings.waivers import Waiver, parse_waivers

UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
MASKED: Final = "[secret]"
SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_UNKNOWNS: Final = frozenset(
    {
        UNKNOWN,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
"""How Pulumi writes an unknown text, truth value, number, list and object.
https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/plugin/rpc.go"""
_PARTS: Final = frozenset(
    {"create-replacement", "delete-replaced", "import-replacement", "read-replacement", "discard-replaced"}
)
"""Steps of which another step of the same resource, `replace`, says the whole."""
_OPERATIONS: Final = {
    **{operation.value: operation for operation in Operation},
    "create-replacement": Operation.REPLACE,
    "delete-replaced": Operation.REPLACE,
    "import-replacement": Operation.REPLACE,
    "read-replacement": Operation.REPLACE,
}
_CREATED: Final = ("createDate", "timeCreated")
"""Where keys say when they were made: on AWS, on Google."""
OURS: Final = "recordings:index:"
"""What the type of every resource of ours begins with, in its URN."""


def kind_of(type_: str) -> str:
    """A resource's type in short: `aws:s3:Bucket` for `aws:s3/bucket:Bucket` and for `aws:s3/bucketV2:BucketV2`."""
    package, _, rest = type_.partition(":")
    module, _, name = rest.rpartition(":")
    # `BucketAclV2` was BucketAcl's name in between
    return f"{package}:{module.split('/')[0]}:{name.removesuffix('V2')}"


def values(raw: Any) -> Any:
    """A property value as rules read it, with a mark for what is unknown, and for a secret in whatever form."""
    if isinstance(raw, Mapping):
        return Mark.SECRET if SIGNATURE in raw else {str(key): values(item) for key, item in raw.items()}
    if isinstance(raw, list | tuple):
        return [values(item) for item in raw]
    if isinstance(raw, str):
        if raw == MASKED:
            return Mark.SECRET
        return Mark.UNKNOWN if raw in _UNKNOWNS or UNKNOWN in raw else raw
    return raw


def planned(steps: Iterable[Mapping[str, Any]]) -> list[Planned]:
    """The resources of a plan, each once. Raises UsageError for what is no step."""
    try:
        by_urn: dict[str, list[Mapping[str, Any]]] = {}
        for step in steps:
            by_urn.setdefault(step["urn"], []).append(step)
        return [_planned(_whole(found)) for found in by_urn.values()]
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        raise UsageError("a step of the preview has no form that `pulumi preview --json` prints") from None


def _whole(steps: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The one step that says what becomes of a resource.

    What is taken over as it is and then changed is taken over: it was never ours, so nothing is compared with it.
    `recordings adopt` asks before it gives up what such a bucket had.
    """
    chosen = [step for step in steps if step["op"] not in _PARTS] or list(steps)
    last = next((step for step in chosen if step["op"] == "replace"), chosen[-1])
    if last["op"] == "update" and any(step["op"] == "import" for step in chosen):
        return {"op": "import", "urn": last["urn"], "newState": last.get("newState")}
    return last


def _planned(step: Mapping[str, Any]) -> Planned:
    old, new = step.get("oldState") or {}, step.get("newState") or {}
    urn = str(step["urn"])
    chain, name = urn.split("::", 3)[2:]
    state = new or old
    sources = {**(old.get("propertyDependencies") or {}), **(new.get("propertyDependencies") or {})}
    operation = _OPERATIONS.get(str(step["op"]), Operation.OTHER)
    if operation in REMAINING and not new:
        operation = Operation.DELETE  # the first half of a replacement, while the second is not known yet
    return Planned(
        urn=urn,
        kind=kind_of(chain.rsplit("$", 1)[-1]),
        name=name,
        operation=operation,
        inputs=_properties(new, "inputs"),
        old_inputs=_properties(old, "inputs") if old else None,
        outputs=_properties(new, "outputs") if "outputs" in new else None,
        old_outputs=_properties(old, "outputs") if old else None,
        parent=str(state.get("parent") or ""),
        protect=new.get("protect") is True,
        old_protect=old.get("protect") is True,
        kept_on_delete=old.get("retainOnDelete") is True,
        sources={str(key): [str(source) for source in urns or ()] for key, urns in sources.items()},
        created=_created(old),
    )


def _properties(state: Mapping[str, Any], key: str) -> Properties:
    found = values(state.get(key) or {})
    return found if isinstance(found, Mapping) else {}


def _created(old: Mapping[str, Any]) -> datetime | None:
    """When the thing itself was made, or when the stack first had it."""
    outputs = old.get("outputs")
    texts = [peek(outputs, key) for key in _CREATED] + [old.get("created")]
    for text in texts:
        try:
            found = datetime.fromisoformat(str(text))
        except ValueError:
            continue
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def gather(steps: Iterable[Mapping[str, Any]], config: Mapping[str, str], now: datetime) -> Facts:
    """The facts of a plan; `config` is the stack's, as a preview shows it: full keys, text or JSON, secrets masked.

    Raises UsageError for a step that is none.
    """
    listed = list(steps)
    return facts_of(planned(listed), config, now, complete=_is_complete(listed))


def facts_of(
    resources: Sequence[Planned], config: Mapping[str, str], now: datetime, *, complete: bool, stack: str = ""
) -> Facts:
    """The facts of a stack with these planned resources; its name is in their URNs."""
    stack = stack or next((item.urn.split("::")[0].rpartition(":")[2] for item in resources), "")
    own = {key.removeprefix("recordings:"): value for key, value in config.items() if key.startswith("recordings:")}
    environment = own.get("environment") or stack
    production = environment in PRODUCTION
    buckets = [item for item in resources if item.kind in ("aws:s3:Bucket", "gcp:storage:Bucket")]
    protected = production or own.get("protect") == "true" or any(item.old_protect for item in buckets)
    return Facts(
        stack=stack,
        environment=environment,
        now=now,
        production=production,
        protected=protected,
        kept=protected or environment in KEPT,
        bucket_name=own.get("bucketName") or None,
        path_prefix=own.get("pathPrefix"),
        former_buckets=frozenset(_former(own.get("formerBuckets", ""))),
        waivers=_waivers(own.get("waivers", "")),
        complete=complete,
        resources=tuple(resources),
    )


def is_ours(resources: Iterable[Planned]) -> bool:
    """Whether a plan has recordings in it; the rules speak of nothing else."""
    return any(OURS in item.urn for item in resources)


def _is_complete(steps: Sequence[Mapping[str, Any]]) -> bool:
    """Whether unchanged resources are shown as well: the real CLI does so with --show-sames alone."""
    return any(step.get("op") == "same" and "pulumi:pulumi:Stack" not in str(step.get("urn")) for step in steps)


def _former(text: str) -> list[str]:
    try:
        loaded = json.loads(text) if text else []
    except (ValueError, RecursionError):
        return []
    return [str(item["bucketName"]) for item in loaded if isinstance(item, Mapping) and "bucketName" in item]


def _waivers(text: str) -> Sequence[Waiver]:
    """What the settings refuse waives nothing; the program says so before anything is planned."""
    try:
        return parse_waivers(text)
    except ValueError:
        return ()
