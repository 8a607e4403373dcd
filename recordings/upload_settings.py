"""The `recording.upload` of a template's settings document: what it must be, how it differs, how it is put in.

Pure functions over the raw document, which may hold anything beside what we know; whatever we do not know survives.
Owns the forms that 100ms documents ("Update settings": send `credentials.secretKey`; the answer echoes
`credentials.secret`, on other pages `secretKey`) and the table of storage types. Sends nothing and remembers nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import SecretStr

from recordings.errors import HmsError
from recordings.outputs import StackOutputs

Settings = Mapping[str, Any]

_ABSENT = object()
_OBJECTS = ("recording", "recording.upload", "recording.upload.options", "recording.upload.credentials")
"""Outer before inner."""
_SHOWN = frozenset({"type", "location", "prefix", "options.region", "credentials.key"})
"""Properties whose values a diff may show; all others may hold a secret."""


@dataclass(frozen=True)
class Upload:
    """Where 100ms stores recordings, and with which key; `prefix` has no slash at either end."""

    type: str
    location: str
    prefix: str
    region: str
    key: str
    secret: SecretStr

    @classmethod
    def from_outputs(cls, outputs: StackOutputs) -> Self:
        """What a stack wants to be registered.

        The prefix is sent without the slash in which `pathPrefix` ends: 100ms documents its paths as
        `<type>://<location>/<prefix>/beam/…`, so a slash of ours would be doubled, and the key would begin with
        `recordings//`.
        """
        return cls(
            type=outputs.storage_provider.scheme,
            location=outputs.bucket_name,
            prefix=outputs.path_prefix.rstrip("/"),
            region=outputs.region,
            key=outputs.writer_access_key_id,
            secret=outputs.writer_secret_access_key,
        )


def check_form(settings: Settings) -> None:
    """Raise HmsError unless what we go through has the documented form: objects, or null where nothing is set."""
    for where in _OBJECTS:
        node: Any = settings
        for name in where.split("."):
            node = (node or {}).get(name)
        if node is not None and not isinstance(node, Mapping):
            raise HmsError(f"100ms gave settings whose {where} is a JSON {type(node).__name__}, not an object")


def upload_of(settings: Settings) -> Mapping[str, Any] | None:
    """`recording.upload`, or None when 100ms stores recordings itself."""
    return (settings.get("recording") or {}).get("upload") or None


def differences(settings: Settings, wanted: Upload) -> list[str]:
    """The properties of `recording.upload` that are not as wanted, by name; empty when the template is registered.

    A secret that the answer masks or leaves out cannot be compared; its key id, which is always shown, names it.
    """
    upload = upload_of(settings) or {}
    credentials = upload.get("credentials") or {}
    found = {
        "type": (upload.get("type"), wanted.type),
        "location": (upload.get("location"), wanted.location),
        "prefix": (upload.get("prefix") or "", wanted.prefix),
        "options.region": ((upload.get("options") or {}).get("region"), wanted.region),
        "credentials.key": (credentials.get("key"), wanted.key),
    }
    names = [name for name, (is_now, should_be) in found.items() if is_now != should_be]
    secret = secret_of(credentials)
    if not is_masked(secret) and secret != wanted.secret.get_secret_value():
        names.append("credentials.secret")
    return names


def points_at(settings: Settings, wanted: Upload) -> bool:
    """Whether the template uploads to the wanted bucket, with whatever prefix, region or key."""
    upload = upload_of(settings) or {}
    return (upload.get("type"), upload.get("location")) == (wanted.type, wanted.location)


def secret_of(credentials: Mapping[str, Any]) -> str:
    """The secret of credentials under either of its names; empty if there is none."""
    return str(credentials.get("secretKey") or credentials.get("secret") or "")


def is_masked(secret: str) -> bool:
    """Whether this is no secret but what an answer shows instead; no provider's secrets hold these characters."""
    return not secret or "*" in secret or "•" in secret or not secret.strip("xX.")


def is_restorable(settings: Settings) -> bool:
    """Whether these settings could be put back later: nothing was set, or the answer gave the secret in full."""
    credentials = (upload_of(settings) or {}).get("credentials") or {}
    return not credentials or not is_masked(secret_of(credentials))


def with_upload(settings: Settings, wanted: Upload) -> dict[str, Any]:
    """A copy of the document with `recording.upload` as wanted; every field that we do not know survives.

    Credentials are the exception: they are replaced whole, so that nothing of an older key goes along with ours.
    """
    changed = copy.deepcopy(dict(settings))
    recording = changed["recording"] = changed.get("recording") or {}
    upload = recording["upload"] = recording.get("upload") or {}
    upload.update(type=wanted.type, location=wanted.location, prefix=wanted.prefix)
    upload["options"] = {**(upload.get("options") or {}), "region": wanted.region}
    upload["credentials"] = {"key": wanted.key, "secretKey": wanted.secret.get_secret_value()}
    return changed


def with_original(settings: Settings, original: Settings) -> dict[str, Any]:
    """A copy of the document with `recording.upload` as it was in `original`, its secret under the name to send.

    Where `original` had no recording and nothing else has been set in it since, `recording` is again null or absent,
    as it was.
    """
    changed = copy.deepcopy(dict(settings))
    recording = dict(changed.get("recording") or {})
    before = original.get("recording", _ABSENT)
    recording.pop("upload", None)
    if isinstance(before, Mapping) and "upload" in before:
        recording["upload"] = _sendable(before["upload"])
    if recording or isinstance(before, Mapping):
        changed["recording"] = recording
    elif before is _ABSENT:
        changed.pop("recording", None)
    else:
        changed["recording"] = None
    return changed


def is_same(one: Settings, other: Settings) -> bool:
    """Whether two documents say the same, apart from the name under which a secret lies and from `retry`.

    100ms adds an empty `retry` to some answers. A secret that one of them masks or leaves out is not compared.
    """
    secrets = [secret_of((upload_of(document) or {}).get("credentials") or {}) for document in (one, other)]
    same_secret = any(map(is_masked, secrets)) or secrets[0] == secrets[1]
    return same_secret and _without_secret(one) == _without_secret(other)


def diff_lines(before: Settings, after: Settings) -> list[str]:
    """The change of `recording.upload` as lines, one a property; values that may be secret are not shown."""
    old, new = _flat(upload_of(before) or {}), _flat(upload_of(after) or {})
    names = sorted(name for name in old.keys() | new.keys() if old.get(name, _ABSENT) != new.get(name, _ABSENT))
    return [_line(name, old.get(name, _ABSENT), new.get(name, _ABSENT)) for name in names]


def changed_fields(before: Settings, after: Settings) -> list[str]:
    """The top-level fields of the document that differ, by name alone."""
    old, new = _without_secret(before), _without_secret(after)
    names = sorted(name for name in old.keys() | new.keys() if old.get(name, _ABSENT) != new.get(name, _ABSENT))
    return names or ["recording"]


def _line(name: str, old: Any, new: Any) -> str:
    where = f"recording.upload.{name}"
    if old is _ABSENT:
        return f"+ {where}: {_shown(name, new)}"
    if new is _ABSENT:
        return f"- {where}: {_shown(name, old)}"
    return f"~ {where}: {_shown(name, old)} => {_shown(name, new)}"


def _shown(name: str, value: Any) -> str:
    return repr(value) if name in _SHOWN and isinstance(value, str) else "[secret]"


def _flat(node: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Leaves by their dotted path; the secret has one name."""
    leaves: dict[str, Any] = {}
    for name, value in node.items():
        where = f"{above}{name}"
        if isinstance(value, Mapping) and value:
            leaves |= _flat(value, f"{where}.")
        else:
            leaves["credentials.secret" if where == "credentials.secretKey" else where] = value
    return leaves


def _without_secret(settings: Settings) -> dict[str, Any]:
    """The document without secret and `retry`; an empty `recording` or `upload` counts as none."""
    document = copy.deepcopy({name: value for name, value in settings.items() if name != "retry"})
    recording = document["recording"] = document.get("recording") or {}
    upload = recording["upload"] = recording.get("upload") or {}
    credentials = upload.get("credentials") or {}
    upload["credentials"] = {name: value for name, value in credentials.items() if name not in ("secret", "secretKey")}
    return document


def _sendable(upload: Any) -> Any:
    upload = copy.deepcopy(upload)
    credentials = (upload or {}).get("credentials") or {}
    if "secret" in credentials:
        secret = secret_of(credentials)
        del credentials["secret"]
        credentials["secretKey"] = secret
    return upload
