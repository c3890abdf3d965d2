"""From a program's graph to manifests per cluster, with what must be ready before each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.engines.graph import KUBERNETES_PREFIX, PROVIDER_TYPE, Graph, ProgramError
from infra.engines.objects import KINDS, Manifest, ObjectKey, key_of


@dataclass(frozen=True, slots=True)
class Desired:
    """One object of one cluster. `after` are the nodes (of any cluster) that must be ready first."""

    urn: str
    cluster: str
    key: ObjectKey
    manifest: Manifest = field(repr=False)
    after: frozenset[str]


def desired_objects(graph: Graph) -> tuple[Desired, ...]:
    """The graph's Kubernetes objects in registration order, which is a valid order of creation.

    Raises ProgramError for a kind that the embedded engine does not know, an object declared twice, or a dependency on
    something that is no Kubernetes object, component or provider.
    """
    providers = graph.providers()
    known = graph.by_urn()
    made: list[Desired] = []
    seen: set[tuple[str, ObjectKey]] = set()
    for resource in graph.resources:
        if not resource.custom or resource.type == PROVIDER_TYPE:
            continue
        kind = resource.type.rpartition(":")[2]
        if not resource.type.startswith(KUBERNETES_PREFIX) or kind not in KINDS:
            raise ProgramError(f"{resource.urn}: the embedded engine does not know {resource.type}")
        manifest = _manifest(resource.inputs)
        key = key_of(manifest)
        cluster = providers[resource.provider]
        if (cluster, key) in seen:
            raise ProgramError(f"{key} is declared twice in {cluster}")
        seen.add((cluster, key))
        after = frozenset(
            urn
            for urn in resource.dependencies
            if urn in known and known[urn].type.startswith(KUBERNETES_PREFIX)
        )
        made.append(Desired(resource.urn, cluster, key, manifest, after))
    return tuple(made)


def _manifest(inputs: Mapping[str, Any]) -> Manifest:
    """Inputs in the order people expect, numbers as Kubernetes writes them, without what has no value."""
    ordered = {key: inputs[key] for key in ("apiVersion", "kind", "metadata") if key in inputs}
    return _plain({**ordered, **inputs})


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    # Protocol buffers know only floating-point numbers.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
