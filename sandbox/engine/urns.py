"""URNs: the names under which a stack remembers its resources.

`urn:pulumi:<stack>::<project>::<type, after the types of its parents>::<name>`; a resource's own type is what follows
the last `$`. Source: https://www.pulumi.com/docs/iac/concepts/resources/names/#urns
"""

from __future__ import annotations

from typing import Final

from sandbox.engine.goal import Alias

ROOT_TYPE: Final = "pulumi:pulumi:Stack"


def make(stack: str, project: str, parent: str, type_: str, name: str) -> str:
    """Build a URN; `parent` is the parent's URN or empty."""
    chain = qualified_type(parent) if parent else ROOT_TYPE
    prefix = "" if chain == ROOT_TYPE else f"{chain}$"
    return f"urn:pulumi:{stack}::{project}::{prefix}{type_}::{name}"


def qualified_type(urn: str) -> str:
    """The type with the types of the parents before it."""
    return urn.split("::", 3)[2]


def name_of(urn: str) -> str:
    """The logical name."""
    return urn.split("::", 3)[3]


def former(urn: str, parent: str, aliases: tuple[Alias, ...], former_parents: dict[str, str]) -> list[str]:
    """Every URN under which this resource may be known: its aliases, and those that its parent's alias brings.

    `former_parents` maps the URN of a resource to the alias under which it was found.
    """
    head, project, chain, name = urn.split("::", 3)
    stack, type_ = head.removeprefix("urn:pulumi:"), chain.rsplit("$", 1)[-1]

    def collapse(alias: Alias) -> str:
        if alias.urn:
            return alias.urn
        over = parent if alias.parent is None else former_parents.get(alias.parent, alias.parent)
        return make(alias.stack or stack, alias.project or project, over, alias.type or type_, alias.name or name)

    found = [collapse(alias) for alias in aliases]
    if parent in former_parents:
        old_parent = former_parents[parent]
        for candidate in (urn, *found[:]):
            child = name_of(candidate)
            if child.startswith(name_of(parent)):
                child = name_of(old_parent) + child.removeprefix(name_of(parent))
            own_type = qualified_type(candidate).rsplit("$", 1)[-1]
            found.append(make(stack, project, old_parent, own_type, child))
    return [item for item in dict.fromkeys(found) if item != urn]
