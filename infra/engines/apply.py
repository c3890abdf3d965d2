"""One object to one cluster: server-side apply, replacement of what cannot be changed, deletion."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from infra.engines.objects import KINDS, Manifest, ObjectKey, collection_path
from infra.engines.readiness import State, judge
from infra.kube import APPLY, ApiError, KubeApi
from vitalops.conventions import FIELD_MANAGER, LABEL_STACK
from vitalops.errors import RemoteError

_TRANSIENT: Final = frozenset({429, 500, 502, 503, 504})
_ATTEMPTS: Final = 5
_GONE_SECONDS: Final = 120.0

# Deleted last to first: what others live in goes last.
_DELETION_ORDER: Final = tuple(reversed(list(KINDS)))


def apply(api: KubeApi, manifest: Manifest, key: ObjectKey, *, dry_run: bool = False) -> Manifest:
    """Server-side apply with this suite's field manager. Returns the object as the cluster then holds it.

    Raises ApiError when the server refuses it, RemoteError when it stays unreachable.
    """
    query = {"fieldManager": FIELD_MANAGER, "force": "true"}
    if dry_run:
        query["dryRun"] = "All"
    return _retried(lambda: api.request("PATCH", key.path, query=query, body=manifest, content_type=APPLY))


def converge(api: KubeApi, manifest: Manifest, key: ObjectKey, live: Manifest | None) -> Manifest:
    """Apply, and do what applying alone cannot: try a failed Job again, wait for a namespace that is being removed,
    replace an object whose change touches what Kubernetes does not let change."""
    if live is not None and key.kind == "Job" and judge(live).state is State.FAILED:
        remove(api, key)
        wait_until_gone(api, key)
    if live is not None and key.kind == "Namespace" and live.get("status", {}).get("phase") == "Terminating":
        wait_until_gone(api, key)
    try:
        return apply(api, manifest, key)
    except ApiError as error:
        if error.status != 422 or not _immutable(error):
            raise
        # A StatefulSet's pods and volumes outlive it; the new one takes them over.
        remove(api, key, propagation="Orphan" if key.kind == "StatefulSet" else "Background")
        wait_until_gone(api, key)
        return apply(api, manifest, key)


def _immutable(error: ApiError) -> bool:
    return any(
        word in error.message for word in ("immutable", "cannot change", "updates to statefulset spec")
    )


def get(api: KubeApi, key: ObjectKey) -> Manifest | None:
    try:
        return _retried(lambda: api.request("GET", key.path))
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def listed(api: KubeApi, stack: str, api_version: str, kind: str) -> dict[ObjectKey, Manifest]:
    """A stack's objects of one kind, in all namespaces."""
    path = collection_path(api_version, kind)
    answer = _retried(lambda: api.request("GET", path, query={"labelSelector": f"{LABEL_STACK}={stack}"}))
    found: dict[ObjectKey, Manifest] = {}
    for item in answer.get("items", []):
        metadata = item["metadata"]
        key = ObjectKey(api_version, kind, str(metadata.get("namespace", "")), str(metadata["name"]))
        found[key] = {"apiVersion": api_version, "kind": kind, **item}
    return found


def remove(api: KubeApi, key: ObjectKey, *, propagation: str = "Background") -> None:
    """Delete an object; nothing happens where it is gone already."""
    body: Manifest = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
    try:
        _retried(lambda: api.request("DELETE", key.path, body=body))
    except ApiError as error:
        if error.status != 404:
            raise


def deletion_rank(key: ObjectKey) -> int:
    return _DELETION_ORDER.index(key.kind)


def wait_until_gone(api: KubeApi, key: ObjectKey, seconds: float = _GONE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while get(api, key) is not None:
        if time.monotonic() > deadline:
            raise RemoteError(
                f"{api.name}: {key} is still being removed after {seconds:.0f} s",
                hint="look for finalizers with `kubectl get -o yaml`",
            )
        time.sleep(0.3)


def _retried(call: Callable[[], Manifest]) -> Manifest:
    for attempt in range(_ATTEMPTS):
        with suppress(_Again):
            try:
                return call()
            except ApiError as error:
                terminating = error.status == 403 and "being terminated" in error.message
                missing_account = (
                    error.status == 403 and "serviceaccount" in error.message and "not found" in error.message
                )
                if attempt == _ATTEMPTS - 1 or not (
                    error.status in _TRANSIENT or terminating or missing_account
                ):
                    raise
                raise _Again from None
            except RemoteError:
                if attempt == _ATTEMPTS - 1:
                    raise
                raise _Again from None
        time.sleep(0.2 * 2**attempt)
    raise AssertionError("the last attempt returns or raises")


class _Again(Exception):
    """The call may be repeated."""
