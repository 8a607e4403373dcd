"""Delete what is left over, dependents before what they depend on.

Owns the order. Resources that do not depend on each other are deleted side by side; one that is protected, or cannot be
deleted, keeps what it depends on. The preview before it fails in the same place.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sandbox.engine.state import Resource
from sandbox.engine.steps import Op, Runner, Step

_PARALLEL: Final = 16


def delete(runner: Runner, leftover: Sequence[Resource]) -> None:
    """Delete every resource. Raises DeploymentError; what was deleted until then is out of the state."""
    pool = ThreadPoolExecutor(_PARALLEL)
    try:
        for rank in ranks(leftover):
            results = [pool.submit(runner.run, _step(resource)) for resource in rank]
            errors = [error for error in (result.exception() for result in results) if error is not None]
            if errors:
                raise errors[0]
    finally:
        # also on Ctrl-C: what has begun ends, the rest does not begin
        pool.shutdown(cancel_futures=True)


def ranks(resources: Sequence[Resource]) -> list[list[Resource]]:
    """Group resources, given in an order in which nothing precedes what it depends on, for deletion in turn."""
    depth: dict[int, int] = {}
    by_urn: dict[str, int] = {}
    for resource in resources:
        depth[id(resource)] = 1 + max((by_urn.get(urn, 0) for urn in references(resource)), default=0)
        by_urn[resource.urn] = max(depth[id(resource)], by_urn.get(resource.urn, 0))
    highest = max(depth.values(), default=0)
    return [[item for item in resources if depth[id(item)] == level] for level in range(highest, 0, -1)]


def references(resource: Resource) -> set[str]:
    """The URNs of everything that must outlive the resource."""
    urns = {resource.parent, resource.provider.rpartition("::")[0], *resource.dependencies}
    urns.update(*resource.property_dependencies.values())
    return urns - {""}


def _step(resource: Resource) -> Step:
    if resource.external:
        return Step(Op.DISCARD_REPLACED if resource.delete else Op.DISCARD, resource)
    return Step(Op.DELETE_REPLACED if resource.delete else Op.DELETE, resource)
