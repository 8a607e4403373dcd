"""The providers of a run: which one serves a resource, set up with which configuration.

Owns the default provider of a package and what changes when a provider's configuration does. A provider is itself a
resource with a URN and an id, and others refer to it as `urn::id`.
Source: https://www.pulumi.com/docs/iac/concepts/resources/providers/#default-provider-configuration
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Final

from sandbox.engine.errors import UnsupportedError
from sandbox.engine.goal import Goal
from sandbox.engine.state import Resource
from sandbox.engine.values import contains_unknown, unwrap
from sandbox.engine.watch import Watched
from sandbox.providers.base import IDENTITY, Provider
from sandbox.values import Properties

Load = Callable[[str], Provider]

_OWN: Final = {"__internal", "version"}


class Registry:
    """Providers by reference. `load` gives a new, unconfigured provider for a package."""

    def __init__(self, load: Load, known: Mapping[str, Resource]) -> None:
        """`known` are the providers of the last run by reference, replaced ones that wait to be deleted among them."""
        self._load = load
        self._known = known
        self._providers: dict[str, Provider] = {}
        self._resources: dict[str, Resource] = {}

    def add(self, resource: Resource) -> None:
        """Set up the provider that a provider resource describes. Raises ProviderError, UnsupportedError."""
        reference = resource.reference
        if reference in self._providers:
            return
        provider = Watched(self._load(resource.type.rsplit(":", 1)[-1]))
        if not contains_unknown(resource.inputs):
            provider.configure(_settings(resource.inputs))
        self._providers[reference] = provider
        self._resources[reference] = resource

    def get(self, reference: str) -> Provider:
        """The provider of a reference. Raises UnsupportedError if neither this run nor the last one knows it."""
        if reference not in self._providers:
            known = self._known.get(reference)
            if known is None:
                raise UnsupportedError(f"provider {reference} is not in the state")
            self.add(known)
        return self._providers[reference]

    def moved(self, old: str, new: str) -> bool:
        """Whether resources of provider `old` are out of reach of provider `new`, so that they must be replaced."""
        if old == new:
            return False
        before, after = self._known.get(old), self._resources.get(new)
        if before is None or after is None or before.type != after.type:
            return True
        return bool(changed_identity(before.inputs, after.inputs))


def default_goal(package: str, version: str, config: Properties) -> Goal:
    """The registration of a package's default provider; `config` is the stack's configuration for the package."""
    suffix = f"_{re.sub(r'[^A-Za-z0-9_]', '_', version)}" if version else ""
    return Goal(f"pulumi:providers:{package}", f"default{suffix}", custom=True, inputs=config, version=version)


def checked_inputs(goal: Goal) -> Properties:
    """The inputs of a provider resource as they are kept in the state."""
    version = {"version": goal.version} if goal.version else {}
    return dict(sorted({"__internal": {}, **goal.inputs, **version}.items()))


def outputs(inputs: Properties) -> Properties:
    """The outputs of a provider resource."""
    return {key: value for key, value in inputs.items() if key != "__internal"}


def changed_identity(old: Properties, new: Properties) -> list[str]:
    """The properties whose change forces the provider, and all that it made, to be replaced."""
    return sorted(key for key in IDENTITY if unwrap(old.get(key)) != unwrap(new.get(key)))


def changed(old: Properties, new: Properties) -> list[str]:
    """The properties in which two configurations differ."""
    return sorted(key for key in {*old, *new} - {"__internal"} if unwrap(old.get(key)) != unwrap(new.get(key)))


def _settings(inputs: Properties) -> dict[str, str]:
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in unwrap(inputs).items()
        if key not in _OWN and value is not None
    }
