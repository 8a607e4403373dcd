"""The SDK's requests, parsed, and refused where they ask for what this engine does not do.

Owns the list of resource options that this engine acts on. Every other field of a request is refused by name, so that
no option is ever silently ignored; those that only describe the request's own form are listed as such.
Source: https://github.com/pulumi/pulumi/blob/master/proto/pulumi/resource.proto
"""

from __future__ import annotations

import re
from typing import Final

from google.protobuf.message import Message
from pulumi.runtime.proto import alias_pb2, resource_pb2

from sandbox.engine.errors import UnsupportedError, UsageError
from sandbox.engine.goal import Alias, Goal
from sandbox.engine.wire import from_struct

# how the request is written, or where in the program it was made: nothing to act on
_FORM: Final = {"acceptSecrets", "acceptResources", "supportsPartialValues", "supportsResultReporting", "aliasSpecs",
                "accepts_byte_string", "sourcePosition", "stackTrace", "parentStackTraceHandle"}  # fmt: skip
# `customTimeouts` is recorded in the state and not applied: the stand-in providers answer at once
_REGISTER: Final = {"type", "name", "parent", "custom", "object", "protect", "dependencies", "provider", "providers",
                    "propertyDependencies", "deleteBeforeReplace", "deleteBeforeReplaceDefined", "version",
                    "ignoreChanges", "additionalSecretOutputs", "aliasURNs", "aliases", "importId", "customTimeouts",
                    "replaceOnChanges", "retainOnDelete"}  # fmt: skip
_READ: Final = {"id", "type", "name", "parent", "properties", "dependencies", "provider", "version",
                "additionalSecretOutputs"}  # fmt: skip
_INVOKE: Final = {"tok", "args", "provider", "version"}
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_OPTION_NAMES: Final = {
    "deletedWith": "deleted_with",
    "hooks": "hooks",
    "hideDiffs": "hide_diffs",
    "envVarMappings": "env_var_mappings",
    "pluginDownloadURL": "plugin_download_url",
    "remote": "a component of another package",
    "packageRef": "a parameterised package",
}


def parse(request: resource_pb2.RegisterResourceRequest) -> Goal:
    """Read a registration. Raises UnsupportedError for any option that this engine does not act on."""
    _refuse(request, _REGISTER, f"{request.type} {request.name!r}")
    timeouts = request.customTimeouts
    return Goal(
        type=request.type,
        name=request.name,
        custom=request.custom,
        inputs=from_struct(request.object),
        parent=request.parent,
        provider=request.provider,
        version=request.version,
        dependencies=tuple(dict.fromkeys(request.dependencies)),
        property_dependencies={
            key: list(dict.fromkeys(value.urns)) for key, value in sorted(request.propertyDependencies.items())
        },
        protect=request.protect,
        delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
        ignore_changes=tuple(request.ignoreChanges),
        replace_on_changes=tuple(request.replaceOnChanges),
        additional_secret_outputs=tuple(request.additionalSecretOutputs),
        aliases=(*(Alias(urn=urn) for urn in request.aliasURNs), *(_alias(item) for item in request.aliases)),
        import_id=request.importId,
        retain_on_delete=request.retainOnDelete,
        custom_timeouts={item.name: _seconds(item.name, value) for item, value in timeouts.ListFields()},
    )


def parse_read(request: resource_pb2.ReadResourceRequest) -> Goal:
    """Read a request to look up a resource that somebody else owns (`Type.get`). Raises UnsupportedError."""
    _refuse(request, _READ, f"{request.type} {request.name!r}")
    return Goal(
        type=request.type,
        name=request.name,
        custom=True,
        inputs=from_struct(request.properties),
        parent=request.parent,
        provider=request.provider,
        version=request.version,
        dependencies=tuple(dict.fromkeys(request.dependencies)),
        additional_secret_outputs=tuple(request.additionalSecretOutputs),
        import_id=request.id,
    )


def check_invoke(request: resource_pb2.ResourceInvokeRequest) -> None:
    """Raise UnsupportedError for any option of a function call that this engine does not act on."""
    _refuse(request, _INVOKE, request.tok)


def _refuse(request: Message, supported: set[str], subject: str) -> None:
    for descriptor, value in request.ListFields():
        name = descriptor.name
        empty = isinstance(value, Message) and not value.ByteSize()
        if name not in supported and name not in _FORM and not empty:
            option = _OPTION_NAMES.get(name, name)
            raise UnsupportedError(f"{subject}: resource option {option} is not supported by this engine; remove it")


def _seconds(name: str, duration: str) -> float:
    """Read a duration in Go's form, such as `1h30m`. Raises UsageError."""
    parts = _DURATION.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise UsageError(f"custom timeout {name} {duration!r} cannot be read; give it as 90s, 5m or 1h30m")
    seconds = sum((float(number) * _UNITS[unit] for number, unit in parts), start=0.0)
    return int(seconds) if seconds.is_integer() else seconds


def _alias(alias: alias_pb2.Alias) -> Alias:
    if alias.urn:
        return Alias(urn=alias.urn)
    spec = alias.spec
    parent = "" if spec.noParent else spec.parentUrn or None
    return Alias(name=spec.name, type=spec.type, stack=spec.stack, project=spec.project, parent=parent)
