"""One change of a stack at a time: a Lease in the cluster that the stack is of.

The holder renews it; a holder that was killed is recognised at once on its own machine (its process is gone) and after
the lease's duration elsewhere.
"""

from __future__ import annotations

import getpass
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from infra.engines.objects import ObjectKey
from infra.kube import ApiError, KubeApi
from vitalops.errors import RemoteError, UsageError

SYSTEM_NAMESPACE: Final = "vitalops-system"
DURATION_SECONDS: Final = 30
_RENEW_SECONDS: Final = 8.0
_HOST: Final = "vitalops.dev/host"
_PID: Final = "vitalops.dev/pid"
_STARTED: Final = "vitalops.dev/process-started"
_PREFIX: Final = "stack-"


@dataclass(frozen=True, slots=True)
class Lease:
    """A stack that is being changed, by whom and since when (None where the lease does not say)."""

    stack: str
    holder: str
    since: datetime | None


def ensure_namespace(api: KubeApi) -> None:
    """The engine's own namespace: leases and inventories."""
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}}
    try:
        api.request("GET", f"/api/v1/namespaces/{SYSTEM_NAMESPACE}")
    except ApiError as error:
        if error.status != 404:
            raise
        with suppress(_Exists):
            _create(api, "/api/v1/namespaces", body)


class _Exists(Exception):
    """Somebody else made it first."""


def _create(api: KubeApi, path: str, body: dict[str, Any]) -> dict[str, Any]:
    try:
        return api.request("POST", path, body=body)
    except ApiError as error:
        if error.status == 409:
            raise _Exists from None
        raise


def holder() -> str:
    """Who this process is, for others to read."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} (process {os.getpid()})"


def _process_started(pid: int) -> str:
    """Start time of a process in clock ticks since boot; empty where it is gone. A pid alone may be used again."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


class StackLock:
    """`with StackLock(api, "region-fr-par").held():`"""

    def __init__(self, api: KubeApi, stack: str) -> None:
        self._api = api
        self._stack = stack
        self._key = ObjectKey("coordination.k8s.io/v1", "Lease", SYSTEM_NAMESPACE, f"{_PREFIX}{stack}")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds the stack. Raises UsageError naming the holder when somebody else does."""
        self._acquire()
        stop = threading.Event()
        renewer = threading.Thread(target=self._renew, args=(stop,), name=f"lease-{self._stack}", daemon=True)
        renewer.start()
        try:
            yield
        finally:
            stop.set()
            renewer.join(timeout=5)
            # An unreachable cluster must not hide why the block ended; the lease runs out by itself.
            with suppress(RemoteError):
                self._api.request("DELETE", self._key.path)

    def _body(self, version: str | None) -> dict[str, Any]:
        now = _format(datetime.now(UTC))
        metadata: dict[str, Any] = {
            "name": self._key.name,
            "namespace": SYSTEM_NAMESPACE,
            "annotations": {
                _HOST: socket.gethostname(),
                _PID: str(os.getpid()),
                _STARTED: _process_started(os.getpid()),
            },
        }
        if version:
            metadata["resourceVersion"] = version
        return {
            "apiVersion": self._key.api_version,
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": holder(),
                "leaseDurationSeconds": DURATION_SECONDS,
                "acquireTime": now,
                "renewTime": now,
            },
        }

    def _acquire(self) -> None:
        ensure_namespace(self._api)
        try:
            _create(self._api, self._key.collection, self._body(None))
            return
        except _Exists:
            pass
        try:
            lease = self._api.request("GET", self._key.path)
        except ApiError as error:
            if error.status != 404:
                raise
            self._acquire()
            return
        if not _abandoned(lease):
            spec = lease.get("spec", {})
            raise UsageError(
                f"stack {self._stack} is being changed by {spec.get('holderIdentity', 'somebody')}"
                f" since {str(spec.get('acquireTime', '?'))[:19]} UTC",
                hint="wait for it to end, then run again",
            )
        try:
            # The resource version makes sure that of two who find it abandoned only one takes it.
            self._api.request("PUT", self._key.path, body=self._body(lease["metadata"]["resourceVersion"]))
        except ApiError as error:
            if error.status == 409:
                raise UsageError(
                    f"stack {self._stack} is being changed by somebody else",
                    hint="wait for it to end, then run again",
                ) from None
            raise

    def _renew(self, stop: threading.Event) -> None:
        while not stop.wait(_RENEW_SECONDS):
            body = {"spec": {"renewTime": _format(datetime.now(UTC))}}
            with suppress(RemoteError):
                self._api.request(
                    "PATCH", self._key.path, body=body, content_type="application/merge-patch+json"
                )


def _format(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _abandoned(lease: dict[str, Any]) -> bool:
    """Whether the lease has run out, or its holder was a process of this machine that is no more."""
    spec, annotations = lease.get("spec", {}), lease.get("metadata", {}).get("annotations", {})
    if annotations.get(_HOST) == socket.gethostname() and str(annotations.get(_PID, "")).isdigit():
        return _process_started(int(annotations[_PID])) != annotations.get(_STARTED)
    renewed = str(spec.get("renewTime") or spec.get("acquireTime") or "")
    try:
        moment = datetime.fromisoformat(renewed.replace("Z", "+00:00"))
    except ValueError:
        return True
    return (datetime.now(UTC) - moment).total_seconds() > int(
        spec.get("leaseDurationSeconds", DURATION_SECONDS)
    )


def leases(api: KubeApi) -> tuple[Lease, ...]:
    """Who changes what in the cluster right now; leases that their holders have abandoned are left out. Only reads.

    Raises RemoteError where the cluster does not answer.
    """
    path = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM_NAMESPACE}/leases"
    found: list[Lease] = []
    for item in api.request("GET", path, timeout=5.0).get("items", []):
        name, spec = str(item["metadata"]["name"]), item.get("spec", {})
        if name.startswith(_PREFIX) and not _abandoned(item):
            since = _moment(str(spec.get("acquireTime") or ""))
            found.append(
                Lease(name.removeprefix(_PREFIX), str(spec.get("holderIdentity", "somebody")), since)
            )
    return tuple(found)


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
