"""The embedded engine: the same programs without the Pulumi CLI.

The program's graph becomes manifests; they go to their clusters by server-side apply in dependency order, are waited
for, and what is declared no more is removed. Kubernetes holds all state: what was made (inventory), and who is changing
it (lease), so that an interrupted run is repaired by the next one, from whichever machine.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from infra.engines import inventory
from infra.engines.apply import apply, deletion_rank, get, listed, remove, wait_until_gone
from infra.engines.diff import Action, Change, compare
from infra.engines.graph import Graph, record
from infra.engines.lock import StackLock, ensure_namespace
from infra.engines.manifests import Desired, desired_objects
from infra.engines.objects import Manifest, ObjectKey
from infra.engines.protocol import Outcome, Stack
from infra.engines.rollout import Rollout
from infra.kube import KubeApi
from infra.program.stacks import PROJECT
from vitalops.ports.progress import Progress

_THREADS = 6
_READY_SECONDS = 900.0


class EmbeddedEngine:
    """Implements `Engine`. `connect` gives the API of a cluster by its region's name."""

    name = "embedded"

    def __init__(self, connect: Callable[[str], KubeApi], *, ready_seconds: float = _READY_SECONDS) -> None:
        self._connect = connect
        self._ready_seconds = ready_seconds
        self._recording = threading.Lock()
        self.stop = threading.Event()

    def stop_all(self) -> None:
        """End every running `up` of this engine at the next opportunity."""
        self.stop.set()

    def graph(self, stack: Stack) -> Graph:
        """The stack's resource graph. Pulumi's runtime serves one program at a time."""
        with self._recording:
            return record(stack.program, project=PROJECT, stack=stack.name)

    def manifests(self, stack: Stack) -> tuple[Desired, ...]:
        return desired_objects(self.graph(stack))

    def outputs(self, stack: Stack) -> Mapping[str, Any]:
        return dict(self.graph(stack).outputs)

    def preview(self, stack: Stack) -> Outcome:
        began = time.monotonic()
        desired = self.manifests(stack)
        apis = self._apis(stack)
        kept = {cluster: inventory.read(api, stack.name) for cluster, api in apis.items()}
        before = _snapshot(stack.name, desired, apis, kept)

        def change(node: Desired) -> Change:
            old = before.get((node.cluster, node.key))
            new = (
                node.manifest
                if old is None
                else apply(apis[node.cluster], node.manifest, node.key, dry_run=True)
            )
            return compare(node.cluster, node.key, old, new)

        with ThreadPoolExecutor(_THREADS) as pool:
            changes = list(pool.map(change, desired))
        for cluster, key in _surplus(desired, kept):
            old = get(apis[cluster], key)
            if old is not None:
                changes.append(compare(cluster, key, old, None))
        return Outcome(stack.name, tuple(changes), time.monotonic() - began)

    def up(self, stack: Stack, progress: Progress) -> Outcome:
        began = time.monotonic()
        progress.step(stack.name, "reading the program")
        desired = self.manifests(stack)
        apis = self._apis(stack)
        with self._locked(stack, apis):
            kept = {cluster: inventory.read(api, stack.name) for cluster, api in apis.items()}
            before = _snapshot(stack.name, desired, apis, kept)
            for cluster, api in apis.items():
                wanted = frozenset(node.key for node in desired if node.cluster == cluster)
                if not wanted <= kept[cluster]:
                    inventory.write(api, stack.name, wanted | kept[cluster])
            rollout = Rollout(
                stack.name, desired, apis, before, progress, self.stop, self._ready_seconds, threads=_THREADS
            )
            changes = list(rollout.run())
            removed = sorted(_surplus(desired, kept), key=lambda item: deletion_rank(item[1]))
            for cluster, key in removed:
                progress.step(stack.name, f"removing {key}")
                remove(apis[cluster], key)
                changes.append(Change(cluster, key, Action.DELETE))
            for cluster, api in apis.items():
                wanted = frozenset(node.key for node in desired if node.cluster == cluster)
                if wanted != kept[cluster]:
                    inventory.write(api, stack.name, wanted)
        seconds = time.monotonic() - began
        progress.done(stack.name, seconds)
        return Outcome(stack.name, tuple(changes), seconds)

    def destroy(self, stack: Stack, progress: Progress) -> Outcome:
        began = time.monotonic()
        apis = self._apis(stack)
        changes: list[Change] = []
        with self._locked(stack, apis):
            for cluster, api in apis.items():
                keys = sorted(inventory.read(api, stack.name), key=deletion_rank)
                present = [key for key in keys if get(api, key) is not None]
                for key in present:
                    progress.step(stack.name, f"removing {key}")
                    remove(api, key)
                    changes.append(Change(cluster, key, Action.DELETE))
                for key in present:
                    progress.step(stack.name, f"waiting until {key} is gone")
                    wait_until_gone(api, key, 180.0)
                inventory.forget(api, stack.name)
        seconds = time.monotonic() - began
        progress.done(stack.name, seconds)
        return Outcome(stack.name, tuple(changes), seconds)

    def _apis(self, stack: Stack) -> dict[str, KubeApi]:
        apis = {cluster: self._connect(cluster) for cluster in stack.clusters}
        for api in apis.values():
            # One question before all others, so that an unreachable cluster is said at once and once.
            api.request("GET", "/version", timeout=5.0)
        return apis

    @contextmanager
    def _locked(self, stack: Stack, apis: Mapping[str, KubeApi]) -> Iterator[None]:
        with ExitStack() as held:
            # Always in the same order, so that two runs cannot each hold half.
            for cluster in sorted(apis):
                ensure_namespace(apis[cluster])
                held.enter_context(StackLock(apis[cluster], stack.name).held())
            yield


def _surplus(
    desired: tuple[Desired, ...], kept: Mapping[str, frozenset[ObjectKey]]
) -> list[tuple[str, ObjectKey]]:
    wanted = {(node.cluster, node.key) for node in desired}
    return [
        (cluster, key)
        for cluster, keys in kept.items()
        for key in sorted(keys)
        if (cluster, key) not in wanted
    ]


def _snapshot(
    stack: str,
    desired: tuple[Desired, ...],
    apis: Mapping[str, KubeApi],
    kept: Mapping[str, frozenset[ObjectKey]],
) -> dict[tuple[str, ObjectKey], Manifest]:
    """What the clusters hold of the stack now: one list for each kind."""
    kinds = {(node.cluster, node.key.api_version, node.key.kind) for node in desired}
    kinds |= {(cluster, key.api_version, key.kind) for cluster, keys in kept.items() for key in keys}

    def found(place: tuple[str, str, str]) -> dict[tuple[str, ObjectKey], Manifest]:
        cluster, api_version, kind = place
        return {(cluster, key): live for key, live in listed(apis[cluster], stack, api_version, kind).items()}

    made: dict[tuple[str, ObjectKey], Manifest] = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        for part in pool.map(found, sorted(kinds)):
            made.update(part)
    return made
