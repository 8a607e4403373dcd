"""What the engine remembers of a stack: resources and pending operations, as checkpoint version 3 has them.

Owns the JSON form, so that the real CLI reads ours and we read its; fields that this engine does not act on are kept
as they were, and those that would change what must be done are refused by name. Does not touch files (`backend`).
Source: https://github.com/pulumi/pulumi/blob/master/sdk/go/common/apitype/core.go
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from sandbox.engine.errors import StateError, UnsupportedError
from sandbox.engine.secrets import SecretsManager
from sandbox.engine.values import SECRET_SIGNATURE, SIGNATURE, UNKNOWN_SENTINEL
from sandbox.values import UNKNOWN, Properties, Secret, Value

VERSION: Final = 3

# JSON name, attribute; in the order in which the real CLI writes them.
_FIELDS: Final = (
    ("urn", "urn"),
    ("custom", "custom"),
    ("delete", "delete"),
    ("id", "id"),
    ("type", "type"),
    ("inputs", "inputs"),
    ("outputs", "outputs"),
    ("parent", "parent"),
    ("protect", "protect"),
    ("external", "external"),
    ("dependencies", "dependencies"),
    ("initErrors", "init_errors"),
    ("provider", "provider"),
    ("propertyDependencies", "property_dependencies"),
    ("pendingReplacement", "pending_replacement"),
    ("additionalSecretOutputs", "additional_secret_outputs"),
    ("aliases", "aliases"),
    ("customTimeouts", "custom_timeouts"),
    ("importID", "import_id"),
    ("retainOnDelete", "retain_on_delete"),
    ("created", "created"),
    ("modified", "modified"),
    ("ignoreChanges", "ignore_changes"),
    ("replaceOnChanges", "replace_on_changes"),
)
_KEPT: Final = ("sourcePosition", "stackTrace", "hideDiff")
_ALWAYS: Final = {"urn", "custom", "type"}
_ENVELOPES: Final = {"inputs", "outputs"}


@dataclass(eq=False)
class Resource:
    """One resource as last seen; compared by identity, since a replaced one and its successor share a URN."""

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: Properties = field(default_factory=dict, repr=False)
    outputs: Properties = field(default_factory=dict, repr=False)
    parent: str = ""
    provider: str = ""
    dependencies: list[str] = field(default_factory=list)
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    protect: bool = False
    retain_on_delete: bool = False
    delete: bool = False
    external: bool = False
    pending_replacement: bool = False
    init_errors: list[str] = field(default_factory=list)
    additional_secret_outputs: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    custom_timeouts: dict[str, Any] = field(default_factory=dict)
    ignore_changes: list[str] = field(default_factory=list)
    replace_on_changes: list[str] = field(default_factory=list)
    import_id: str = ""
    created: str = ""
    modified: str = ""
    kept: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The logical name: the last part of the URN."""
        return self.urn.split("::", 3)[3]

    @property
    def is_provider(self) -> bool:
        """Whether this is a provider's own resource."""
        return self.type.startswith("pulumi:providers:")

    @property
    def reference(self) -> str:
        """How others refer to this provider."""
        return f"{self.urn}::{self.id or UNKNOWN_SENTINEL}"

    def copy(self, **changes: Any) -> Resource:
        """A new resource that differs in `changes`."""
        return replace(self, **changes)

    def to_json(self, manager: SecretsManager | None) -> dict[str, Any]:
        """The entry of a checkpoint; with no manager, secrets are masked as in `preview --json`."""
        entry: dict[str, Any] = {}
        for name, attribute in _FIELDS:
            value = getattr(self, attribute)
            if value or name in _ALWAYS:
                entry[name] = seal(value, manager) if name in _ENVELOPES else value
        if "propertyDependencies" in entry:
            entry["propertyDependencies"] = dict(sorted(self.property_dependencies.items()))
        return {**entry, **self.kept}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any], manager: SecretsManager | None) -> Self:
        """Read an entry. Raises UnsupportedError for a field that this engine would have to act on and cannot."""
        names = dict(_FIELDS)
        foreign = sorted(key for key, value in entry.items() if key not in names and key not in _KEPT and value)
        if foreign:
            raise UnsupportedError(f"{entry.get('urn')}: state has {', '.join(foreign)}, which is not supported")
        values = {names[key]: value for key, value in entry.items() if key in names}
        for key in _ENVELOPES & values.keys():
            values[key] = unseal(values[key], manager)
        return cls(**values, kept={key: entry[key] for key in _KEPT if key in entry})


@dataclass(frozen=True)
class Operation:
    """Something that was begun and of which the state does not know the end: `kind` is creating, updating, …"""

    resource: Resource
    kind: str


@dataclass
class Checkpoint:
    """A whole stack at one moment."""

    stack: str
    resources: list[Resource] = field(default_factory=list)
    pending: list[Operation] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)

    def outputs(self) -> Properties:
        """The outputs of the stack itself."""
        return next((item.outputs for item in self.resources if item.type == "pulumi:pulumi:Stack"), {})

    def to_json(self, manager: SecretsManager) -> dict[str, Any]:
        """The content of the state file."""
        latest: dict[str, Any] = {
            "manifest": {"time": now(), "magic": "", "version": ""},
            "secrets_providers": {"type": "passphrase", "state": {"salt": manager.salt}},
        }
        if self.resources:
            latest["resources"] = [resource.to_json(manager) for resource in self.resources]
        if self.pending:
            latest["pending_operations"] = [
                {"resource": item.resource.to_json(manager), "type": item.kind} for item in self.pending
            ]
        latest["metadata"] = self.metadata
        return {"version": VERSION, "checkpoint": {"stack": self.stack, "latest": latest}}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any], manager: SecretsManager | None) -> Self:
        """Read a state file's content. Raises StateError, UnsupportedError."""
        if raw.get("version") != VERSION:
            raise UnsupportedError(
                f"the state has version {raw.get('version')!r} and features {raw.get('features')!r}; "
                f"this engine reads version {VERSION}"
            )
        try:
            checkpoint = raw["checkpoint"]
            latest = checkpoint.get("latest") or {}
            foreign = [key for key in ("snippets", "extensions") if latest.get(key)]
            if foreign:
                raise UnsupportedError(f"the state has {', '.join(foreign)}, which is not supported")
            return cls(
                checkpoint["stack"],
                [Resource.from_json(entry, manager) for entry in latest.get("resources") or []],
                [
                    Operation(Resource.from_json(entry["resource"], manager), entry["type"])
                    for entry in latest.get("pending_operations") or []
                ],
                latest.get("metadata") or {},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise StateError(f"the state is damaged: {type(error).__name__} at {error}") from None


def secrets_salt(raw: Mapping[str, Any]) -> str | None:
    """The salt of the secrets manager that a state file names, if any. Raises UnsupportedError for another manager."""
    latest = (raw.get("checkpoint") or {}).get("latest") or {}
    provider = latest.get("secrets_providers")
    if not provider:
        return None
    if provider.get("type") != "passphrase":
        raise UnsupportedError(f"the state's secrets provider {provider.get('type')!r} is not supported: passphrase is")
    salt = provider["state"]["salt"]
    return str(salt)


def seal(value: Value, manager: SecretsManager | None) -> Any:
    """Give a property value in JSON's terms, secrets encrypted (or masked if there is no manager)."""
    if isinstance(value, Secret):
        if manager is None:
            return "[secret]"
        plain = json.dumps(_bare(value.value), separators=(",", ":"), ensure_ascii=False)
        return {SIGNATURE: SECRET_SIGNATURE, "ciphertext": manager.encrypt(plain)}
    if value is UNKNOWN:
        return UNKNOWN_SENTINEL
    if isinstance(value, Mapping):
        return {key: seal(value[key], manager) for key in sorted(value)}
    if isinstance(value, list):
        return [seal(item, manager) for item in value]
    return value


def _bare(value: Value) -> Any:
    if isinstance(value, Secret):
        return _bare(value.value)
    if isinstance(value, Mapping):
        return {key: _bare(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_bare(item) for item in value]
    return UNKNOWN_SENTINEL if value is UNKNOWN else value


def unseal(value: Any, manager: SecretsManager | None) -> Value:
    """Read a property value back; with no manager, secrets stay closed. Raises UsageError if one cannot be opened."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET_SIGNATURE:
            if manager is None:
                return Secret(None)
            plaintext = value["plaintext"] if "plaintext" in value else manager.decrypt(value["ciphertext"])
            return Secret(json.loads(plaintext))
        return {key: unseal(item, manager) for key, item in value.items()}
    if isinstance(value, list):
        return [unseal(item, manager) for item in value]
    return UNKNOWN if value == UNKNOWN_SENTINEL else value


def now() -> str:
    """This moment in UTC, RFC 3339 with up to nine fractional digits as Go writes it."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    fraction = f".{nanoseconds:09d}".rstrip("0").rstrip(".")
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}{fraction}Z"
