"""Bringing one region up, or repairing it: every step looks first and does only what is missing."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from infra.local.regions import certificates, cgroups, configuration, kernel, network
from infra.local.regions import programs as catalogue
from infra.local.regions.api import Api, answers_inside
from infra.local.regions.layout import Layout
from infra.local.regions.objects import cluster_objects
from infra.local.regions.programs import Program
from infra.local.regions.sandbox import Sandbox
from infra.local.regions.supervision import Running, running, send, spawn, wait_gone, wait_until
from vitalops.errors import UsageError
from vitalops.ports.progress import Progress

API_SECONDS = 90.0
READY_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Machine:
    """What this machine gives: tools by name, and programs of the operating system by name."""

    tools: Mapping[str, Path]
    system: Mapping[str, str]


def node_is_ready(node: Any, since: float) -> bool:
    """Whether a Node object says Ready, takes pods, and was told so after `since` (seconds since the epoch): what a
    stopped region's last kubelet said must not count."""
    if not node:
        return False
    taints = {taint["key"] for taint in node["spec"].get("taints", [])}
    if taints & {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}:
        return False
    for condition in node["status"].get("conditions", []):
        if condition["type"] == "Ready":
            heard = datetime.fromisoformat(condition["lastHeartbeatTime"]).timestamp()
            return condition["status"] == "True" and heard >= int(since)
    return False


class Boot:
    """One run over one region."""

    def __init__(self, region: Layout, machine: Machine, sandbox: Sandbox, progress: Progress) -> None:
        self.region = region
        self.phases: list[tuple[str, float]] = []
        """(name, seconds) in the order in which they ended."""
        self._machine = machine
        self._sandbox = sandbox
        self._progress = progress
        self._programs: dict[str, Program] = {}
        self._alive: dict[str, Running] = {}
        self._pids: dict[str, int] = {}
        self._began = time.time()

    @contextmanager
    def _phase(self, name: str) -> Generator[None]:
        began = time.monotonic()
        self._progress.step(f"{self.region.name} {name}")
        yield
        seconds = time.monotonic() - began
        self.phases.append((name, seconds))
        self._progress.done(f"{self.region.name} {name}", seconds)

    def run(self) -> None:
        """Raises RemoteError where a process ends or does not get ready. What started until then stays: the next run
        goes on from there."""
        self._check_state()
        with self._phase("network"):
            hierarchies = cgroups.hierarchies()
            cgroups.apply(cgroups.plan(hierarchies, self.region.cgroup, cgroups.root_state(hierarchies)))
            network.ensure(self.region)
        with self._phase("configuration"):
            self._write_files()
            self._alive = self._survey(hierarchies)
        with self._phase("API server"):
            self._start(hierarchies, catalogue.ETCD, catalogue.API_SERVER, catalogue.CONTAINERD)
            self._await_containerd()
            # While the API server boots: images must be there before the kubelet starts a pod.
            self._sandbox.load(self.region.name)
            api = Api(self.region)
            self._wait(
                "answer from the API server",
                lambda: api.answers("/readyz"),
                catalogue.API_SERVER,
                catalogue.ETCD,
            )
        with self._phase("node"):
            if catalogue.KUBELET not in self._alive:
                kernel.remember()
            self._start(hierarchies, catalogue.KUBELET, catalogue.CONTROLLERS, catalogue.SCHEDULER)
            for manifest in cluster_objects(self.region):
                api.apply(manifest)
            self._start(hierarchies, catalogue.PROXY, catalogue.COREDNS, catalogue.PROVISIONER)
            self._await_ready(api)
        kernel.restore()

    def _check_state(self) -> None:
        """A cluster's state holds its addresses: with others it would come up broken."""
        record = self.region.state / "index"
        index = str(self.region.addresses.index)
        if record.exists() and (made := record.read_text().strip()) != index:
            name = self.region.name
            raise UsageError(
                f"{name} was made as region {made} of its platform file and is region {index} now",
                hint=f"put it back at its place, or delete its data: vitalops regions stop {name} --purge",
            )
        self.region.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        record.write_text(index)

    def _write_files(self) -> None:
        region = self.region
        for folder in (region.state, region.run, region.etcd, region.volumes):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (region.config / "cni", region.logs, region.pod_logs, region.images, region.kubelet):
            folder.mkdir(parents=True, exist_ok=True)
        kubeconfigs = certificates.ensure(region)
        texts = configuration.files(
            region,
            kubeconfigs,
            runc=self._machine.system["runc"],
            cni_folder=str(Path(self._machine.system["ptp"]).parent),
            sandbox_image=self._sandbox.reference,
        )
        for path, text in texts.items():
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
        self._programs = catalogue.programs(region, self._machine.tools, kubeconfigs)

    def _survey(self, hierarchies: cgroups.Hierarchies) -> dict[str, Running]:
        """The processes that live and are as they should be; ends those that were started otherwise."""
        alive = running(self.region, self._programs, hierarchies)
        stale = {name: each for name, each in alive.items() if each.digest != self._programs[name].digest()}
        if stale:
            pids = [each.pid for each in stale.values()]
            send(pids, signal.SIGTERM)
            send(wait_gone(pids, 1.0), signal.SIGKILL)
            wait_gone(pids, 2.0)
        return {name: each for name, each in alive.items() if name not in stale}

    def _start(self, hierarchies: cgroups.Hierarchies, *names: str) -> None:
        for name in names:
            if name in self._alive:
                self._pids[name] = self._alive[name].pid
                continue
            if name == catalogue.ETCD:
                # Left by a process that was killed; a socket without a listener helps nobody.
                for stale in (self.region.etcd_socket, self.region.etcd_peer_socket):
                    stale.unlink(missing_ok=True)
            self._pids[name] = spawn(self.region, self._programs[name], hierarchies)

    def _wait(self, what: str, check: Callable[[], bool], *needs: str, seconds: float = API_SECONDS) -> None:
        wait_until(self.region, what, check, {name: self._pids[name] for name in needs}, seconds=seconds)

    def _await_containerd(self) -> None:
        def listening() -> bool:
            with socket.socket(socket.AF_UNIX) as client:
                try:
                    client.connect(str(self.region.containerd_socket))
                except OSError:
                    return False
                return True

        self._wait("socket of containerd", listening, catalogue.CONTAINERD, seconds=30.0)

    def _await_ready(self, api: Api) -> None:
        region, namespace = self.region, self.region.network_namespace_file
        self._wait(
            "healthy controller manager",
            lambda: answers_inside(namespace, 10257, "/healthz", tls=True),
            catalogue.CONTROLLERS,
            seconds=READY_SECONDS,
        )
        self._wait(
            "healthy scheduler",
            lambda: answers_inside(namespace, 10259, "/healthz", tls=True),
            catalogue.SCHEDULER,
            seconds=READY_SECONDS,
        )
        self._wait(
            "DNS", lambda: answers_inside(namespace, 8181, "/ready"), catalogue.COREDNS, seconds=READY_SECONDS
        )
        self._wait(
            "service rules",
            lambda: answers_inside(namespace, 10256, "/healthz"),
            catalogue.PROXY,
            seconds=READY_SECONDS,
        )
        known = self._alive.get(catalogue.KUBELET)
        since = known.started if known else self._began
        self._wait(
            "ready node",
            lambda: node_is_ready(api.get(f"/api/v1/nodes/{region.name}"), since),
            catalogue.KUBELET,
            catalogue.CONTAINERD,
            seconds=READY_SECONDS,
        )
        self._wait(
            "service account",
            lambda: api.answers("/api/v1/namespaces/default/serviceaccounts/default"),
            catalogue.CONTROLLERS,
            seconds=READY_SECONDS,
        )
