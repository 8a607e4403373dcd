"""The configuration of a stack, parsed once: what Pulumi hands over, to one frozen, validated `Settings`.

Owns which provider's rules hold (`MODELS`), and the way there; the keys and the rules between them are in
`components.settings_model` and beside it. `parse_settings` is pure and finds all faults at once; `load_settings` is the
thin part that asks Pulumi. Who runs the program, and where, is checked by `components.guards`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any, Final, TypeVar

import pulumi
from pydantic import ValidationError

from components.faults import explain, listed, unknown_keys
from components.gcs_settings import GcsSettings
from components.s3_settings import S3Settings
from components.settings_model import NAMESPACE, Settings, StorageSettings
from recordings.errors import ConfigurationError
from recordings.outputs import StorageProvider

MODELS: Final[Mapping[StorageProvider, type[Settings]]] = {
    StorageProvider.S3: S3Settings,
    StorageProvider.GCS: GcsSettings,
}
"""The one place that chooses the rules by provider."""
EXTERNAL: Final = ("writerExternal", "readerExternal")
"""The keys that hold a secret."""

_NO_KEYS: Final = frozenset({"stack", "region", "endpoint_url"})


def _keys(model: type[Settings]) -> tuple[str, ...]:
    return tuple(str(field.alias) for name, field in model.model_fields.items() if name not in _NO_KEYS)


KEYS: Final = tuple(dict.fromkeys(key for model in MODELS.values() for key in _keys(model)))
"""The keys in the namespace `recordings`, of whichever provider, as they are written."""
_UNSET: Final = frozenset({"", "{}", "[]", "false"})
"""What a schema has as default for a key that means nothing to this provider."""

S = TypeVar("S", bound=StorageSettings)


def model_of(raw: Mapping[str, str]) -> type[Settings]:
    """The model whose rules hold for this configuration; that of S3 if the provider is none, which it then reports."""
    found = {provider.value: model for provider, model in MODELS.items()}
    return found.get(raw.get("provider", StorageProvider.S3), S3Settings)


def parse_settings(
    raw: Mapping[str, str],
    *,
    stack: str,
    region: str | None,
    secret_keys: Collection[str] = (),
    endpoint_url: str | None = None,
) -> Settings:
    """Validate the keys of the namespace `recordings`, given as Pulumi does: text, or JSON for lists and maps.

    `region` is that of the provider's namespace (`aws:region`, `gcp:region`); `secret_keys` are the keys of `raw` that
    are stored encrypted. Raises ConfigurationError that names every fault: key, value (never a secret's) and what is
    legal.
    """
    model = model_of(raw)
    given = {key: text for key, text in raw.items() if not _is_unset(model, key, text)}
    faults = unknown_keys(raw, KEYS) + _foreign(model, given) + _secrecy(given, secret_keys)
    values: dict[str, Any] = {"environment": stack, **_names(model, given, stack)}
    values |= {key: text for key, text in given.items() if key in _keys(model)}
    values |= {"stack": stack, "endpointUrl": endpoint_url} | ({"region": region} if region else {})
    settings: Settings | None = None
    try:
        settings = model.model_validate(values)
    except ValidationError as error:
        names = {"region": f"{model.cloud}:region", "stack": "the stack's name"}
        faults += explain(error, values, secret_keys, names=names, missing=model.missing)
    if settings is None or faults:
        raise ConfigurationError(
            f"the configuration of stack {stack!r} cannot be used; nothing was declared:\n{listed(faults)}\n"
            f"Correct Pulumi.{stack}.yaml, or use `pulumi config set recordings:KEY VALUE`."
        )
    return settings


def _is_unset(model: type[Settings], key: str, text: str) -> bool:
    """A schema gives every key a default; an empty text or map there means that nothing is configured."""
    field = next((field for field in model.model_fields.values() if field.alias == key), None)
    if field is None:
        return key in KEYS and text in _UNSET
    return text in ("", "{}") and (field.default is None or field.is_required())


def _names(model: type[Settings], given: Collection[str], stack: str) -> dict[str, str]:
    """Name writer and reader after the stack; an external one has a name already."""
    return {
        f"{role}Name": name.format(stack=stack)
        for role, name in model.default_names.items()
        if f"{role}External" not in given
    }


def _foreign(model: type[Settings], given: Collection[str]) -> list[str]:
    """Give a fault for each key that only another provider knows; no option is ignored."""
    own = next(provider for provider, known in MODELS.items() if known is model)
    return [
        f"recordings:{key}: means nothing where provider is {own}; remove it"
        for key in given
        if key in KEYS and key not in _keys(model)
    ]


def _secrecy(given: Collection[str], secret_keys: Collection[str]) -> list[str]:
    """Give a fault for a secret that is stored in plain text, and for a secret that would not stay one."""
    return [
        f"recordings:{key}: is stored in plain text; set it anew with "
        f"`pulumi config set --path --secret recordings:{key}.secretAccessKey`, then replace that key: it was exposed"
        for key in EXTERNAL
        if key in given and key not in secret_keys
    ] + [
        f"recordings:{key}: is stored as a secret, but ends in names, policies or outputs, which are none; set it "
        "anew without --secret"
        for key in sorted({*secret_keys} & {*KEYS} - {*EXTERNAL})
    ]


def validated(model: type[S], args: Mapping[str, Any], component: str) -> S:
    """Validate the arguments of a storage component; ConfigurationError lists every fault."""
    try:
        return model.model_validate(args)
    except ValidationError as error:
        faults = explain(error, args)
    raise ConfigurationError(f"the arguments of {component} cannot be used; nothing was declared:\n{listed(faults)}")


def load_settings() -> Settings:
    """Read the stack's configuration from Pulumi and validate it; ConfigurationError lists every fault."""
    everything = {**pulumi.runtime.get_config_env(), **pulumi.runtime.config.CONFIG.get()}
    own = f"{NAMESPACE}:"
    raw = {key.removeprefix(own): text for key, text in everything.items() if key.startswith(own)}
    model = model_of(raw)
    return parse_settings(
        raw,
        stack=pulumi.get_stack(),
        region=pulumi.Config(model.cloud).get("region"),
        secret_keys={key for key in raw if pulumi.runtime.is_config_secret(own + key)},
        endpoint_url=model.endpoint(os.environ),
    )
