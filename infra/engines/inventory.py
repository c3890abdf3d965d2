"""What a stack has made in a cluster, so that what it declares no more can be removed.

Kept in the cluster itself: written before anything is created, so that nothing is forgotten when a run is killed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from infra.engines.lock import SYSTEM_NAMESPACE
from infra.engines.objects import ObjectKey
from infra.kube import APPLY, ApiError, KubeApi
from vitalops.conventions import FIELD_MANAGER


def _key(stack: str) -> ObjectKey:
    return ObjectKey("v1", "ConfigMap", SYSTEM_NAMESPACE, f"inventory-{stack}")


def read(api: KubeApi, stack: str) -> frozenset[ObjectKey]:
    """The objects that the stack may have made; none where it was never applied."""
    try:
        kept = api.request("GET", _key(stack).path)
    except ApiError as error:
        if error.status == 404:
            return frozenset()
        raise
    rows: list[list[str]] = json.loads(kept.get("data", {}).get("objects", "[]"))
    return frozenset(ObjectKey(*row) for row in rows)


def write(api: KubeApi, stack: str, keys: Iterable[ObjectKey]) -> None:
    rows = [[key.api_version, key.kind, key.namespace, key.name] for key in sorted(keys)]
    key = _key(stack)
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": key.name, "namespace": key.namespace},
        "data": {"objects": json.dumps(rows)},
    }
    query = {"fieldManager": FIELD_MANAGER, "force": "true"}
    api.request("PATCH", key.path, query=query, body=body, content_type=APPLY)


def forget(api: KubeApi, stack: str) -> None:
    try:
        api.request("DELETE", _key(stack).path)
    except ApiError as error:
        if error.status != 404:
            raise
