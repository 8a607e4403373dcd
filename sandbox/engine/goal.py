"""What the program asks for: one registration, with the resource options that this engine acts on.

Pure data; `requests` makes it of what the SDK sends.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.values import Properties


@dataclass(frozen=True)
class Alias:
    """Another URN, or the parts in which a former URN differed; `parent` None means: as now."""

    urn: str = ""
    name: str = ""
    type: str = ""
    stack: str = ""
    project: str = ""
    parent: str | None = None


@dataclass(frozen=True)
class Goal:
    """One registration; `provider` is a reference `urn::id` or empty, `delete_before_replace` None leaves it open.

    `custom_timeouts` are seconds.
    """

    type: str
    name: str
    custom: bool
    inputs: Properties = field(default_factory=dict, repr=False)
    parent: str = ""
    provider: str = ""
    version: str = ""
    dependencies: tuple[str, ...] = ()
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    protect: bool = False
    delete_before_replace: bool | None = None
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    additional_secret_outputs: tuple[str, ...] = ()
    aliases: tuple[Alias, ...] = ()
    import_id: str = ""
    retain_on_delete: bool = False
    custom_timeouts: dict[str, float] = field(default_factory=dict)

    @property
    def package(self) -> str:
        """The package of the type; for a provider resource, of the provider."""
        return self.type.rsplit(":", 1)[-1] if self.is_provider else self.type.split(":", 1)[0]

    @property
    def is_provider(self) -> bool:
        """Whether a provider itself is registered."""
        return self.type.startswith("pulumi:providers:")
