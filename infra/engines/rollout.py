"""Applies many objects in the order of their dependencies, as many at once as it allows, until all are ready."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Final

from infra.engines import report
from infra.engines.apply import converge, listed
from infra.engines.diff import Change, compare
from infra.engines.manifests import Desired
from infra.engines.objects import Manifest, ObjectKey
from infra.engines.readiness import State, judge
from infra.kube import KubeApi
from vitalops.errors import RemoteError, VitalopsError
from vitalops.ports.progress import Progress

_POLL_SECONDS: Final = 0.4
_DETAIL_SECONDS: Final = 3.0
Snapshot = Mapping[tuple[str, ObjectKey], Manifest]


class RolloutFailed(RemoteError):
    """An object was refused, failed, or was not ready in time; `details` tells of its pods, in several lines."""

    def __init__(self, message: str, details: str = "", *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.details = details


class Stopped(VitalopsError):
    """Another part of the operation failed, or the user interrupted it."""


@dataclass(slots=True)
class Rollout:
    """One run. `before` is what the clusters held when it began."""

    stack: str
    desired: tuple[Desired, ...]
    apis: Mapping[str, KubeApi]
    before: Snapshot
    progress: Progress
    stop: threading.Event
    timeout_seconds: float
    threads: int = 6
    changes: list[Change] = field(default_factory=list[Change])
    _ready: set[str] = field(default_factory=set[str])
    _waiting: dict[str, str] = field(default_factory=dict[str, str])
    _last_detail: float = 0.0

    def run(self) -> tuple[Change, ...]:
        """Returns what was changed. Raises RolloutFailed, Stopped, or what the cluster answered."""
        nodes = {node.urn: node for node in self.desired}
        open_after = {urn: set(node.after) & set(nodes) for urn, node in nodes.items()}
        started: set[str] = set()
        running: dict[Future[Manifest], str] = {}
        deadline = time.monotonic() + self.timeout_seconds
        polled = 0.0
        pool = ThreadPoolExecutor(max_workers=self.threads, thread_name_prefix=f"apply-{self.stack}")
        try:
            while len(self._ready) < len(nodes):
                if self.stop.is_set():
                    raise Stopped(f"stack {self.stack}: stopped; run `vitalops up` again to go on")
                for urn in [urn for urn in nodes if urn not in started and open_after[urn] <= self._ready]:
                    started.add(urn)
                    running[pool.submit(self._apply, nodes[urn])] = urn
                if running:
                    done, _ = wait(running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
                    for future in done:
                        self._judge(nodes[running.pop(future)], future.result())
                else:
                    self.stop.wait(_POLL_SECONDS)
                now = time.monotonic()
                if self._waiting and now - polled >= _POLL_SECONDS:
                    polled = now
                    self._poll(nodes)
                self._tell(nodes, now)
                if now > deadline:
                    self._late(nodes)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return tuple(self.changes)

    def _apply(self, node: Desired) -> Manifest:
        old = self.before.get((node.cluster, node.key))
        live = converge(self.apis[node.cluster], node.manifest, node.key, old)
        live = {"apiVersion": node.key.api_version, "kind": node.key.kind, **live}
        self.changes.append(compare(node.cluster, node.key, old, live))
        return live

    def _judge(self, node: Desired, live: Manifest) -> None:
        verdict = judge(live)
        match verdict.state:
            case State.READY:
                self._ready.add(node.urn)
                self._waiting.pop(node.urn, None)
            case State.WAITING:
                self._waiting[node.urn] = verdict.detail
            case State.FAILED:
                self._fail(node, f"failed: {verdict.detail}")

    def _poll(self, nodes: Mapping[str, Desired]) -> None:
        kinds = {
            (nodes[urn].cluster, nodes[urn].key.api_version, nodes[urn].key.kind) for urn in self._waiting
        }
        for cluster, api_version, kind in kinds:
            found = listed(self.apis[cluster], self.stack, api_version, kind)
            for urn in [
                urn for urn in self._waiting if nodes[urn].cluster == cluster and nodes[urn].key.kind == kind
            ]:
                live = found.get(nodes[urn].key)
                if live is None:
                    raise RolloutFailed(f"{cluster}: {nodes[urn].key} was removed while it was waited for")
                self._judge(nodes[urn], live)

    def _tell(self, nodes: Mapping[str, Desired], now: float) -> None:
        if now - self._last_detail < _DETAIL_SECONDS and self._waiting:
            return
        self._last_detail = now
        detail = f"{len(self._ready)} of {len(nodes)} objects ready"
        if self._waiting:
            first = nodes[next(iter(self._waiting))]
            more = f" and {len(self._waiting) - 1} more" if len(self._waiting) > 1 else ""
            why = report.short(self.apis[first.cluster], first.key, first.manifest) or self._waiting.get(
                first.urn, ""
            )
            detail += f", waiting for {first.key.kind} {first.key.name}{more} ({why})"
        self.progress.step(self.stack, detail)

    def _late(self, nodes: Mapping[str, Desired]) -> None:
        late = [nodes[urn] for urn in self._waiting] or [
            node for node in nodes.values() if node.urn not in self._ready
        ]
        self._fail(late[0], f"is not ready after {self.timeout_seconds:.0f} s", late[:3])

    def _fail(self, node: Desired, what: str, told: Iterable[Desired] = ()) -> None:
        details = [report.full(self.apis[each.cluster], each.key, each.manifest) for each in (told or [node])]
        raise RolloutFailed(
            f"stack {self.stack}: {node.key} {what}",
            "\n".join(filter(None, details)),
            hint="correct the cause and run `vitalops up` again",
        )
