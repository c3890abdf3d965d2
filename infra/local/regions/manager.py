"""Starting, stopping and looking at the local regions of a platform."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from infra.local.locks import exclusive
from infra.local.regions import cgroups, network, teardown
from infra.local.regions.api import Api
from infra.local.regions.boot import Boot, Machine, node_is_ready
from infra.local.regions.certificates import ADMIN, identities
from infra.local.regions.commands import inside
from infra.local.regions.layout import Layout, layout
from infra.local.regions.programs import PROCESS_NAMES, Program, programs
from infra.local.regions.sandbox import Sandbox, built_sandbox
from infra.local.regions.supervision import REGION_VARIABLE, log_file, running
from infra.local.toolchain.manager import Toolchain, ensure_regions, locate
from infra.local.toolchain.system import REGION_PROGRAMS, SYSTEM_FOLDERS, ensure_system
from vitalops.errors import UsageError
from vitalops.model.platform import Platform
from vitalops.paths import Paths
from vitalops.ports.progress import Progress

Result = TypeVar("Result")
State = Literal["running", "degraded", "stopped"]


@dataclass(frozen=True, slots=True)
class RegionStatus:
    """`memory_bytes` is the working set of the region with all of its pods; `seconds` what a start took, by phase."""

    name: str
    state: State
    node_ready: bool
    address: str
    memory_bytes: int | None
    dead: tuple[str, ...] = ()
    kubeconfig: Path | None = None
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])


def require_local() -> None:
    """Raises UsageError where regions cannot run: not Linux, or not root."""
    existing = (
        "or point platform.yaml at existing clusters: `cluster: {context: NAME, gateway_address: HOST}`"
    )
    if sys.platform != "linux":
        raise UsageError(
            f"local regions need Linux, this is {sys.platform}", hint=f"use a Linux machine, {existing}"
        )
    if os.geteuid() != 0:
        raise UsageError("local regions need root", hint=f"run with sudo, {existing}")


def _layouts(platform: Platform, names: Iterable[str]) -> tuple[Layout, ...]:
    paths = Paths.from_environment()
    return tuple(layout(platform, name, paths) for name in names)


def known_programs(region: Layout) -> dict[str, Program]:
    """The programs by name and file name only: enough to recognise them, also where the toolchain is gone."""
    tools = {name: Path(name) for name in (*PROCESS_NAMES, "containerd-shim-runc-v2")}
    return programs(region, tools, {identity.name: region.kubeconfig for identity in identities(region)})


def start(
    platform: Platform,
    names: Sequence[str],
    progress: Progress,
    *,
    sandbox: Sandbox | None = None,
    toolchain: Toolchain | None = None,
) -> list[RegionStatus]:
    """Starts or repairs the regions side by side. Raises the first region's error, after all have ended.

    The suite's own sandbox image and toolchain are built where they are missing and not given.
    """
    require_local()
    regions = _layouts(platform, names)
    system = ensure_system(REGION_PROGRAMS, progress)
    tools = toolchain or ensure_regions(progress)
    machine = Machine(tools.tools, system)
    pause = sandbox or built_sandbox(platform, progress)

    def bring_up(region: Layout) -> RegionStatus:
        waiting = lambda: progress.step(region.name, "another run is at it; waiting")  # noqa: E731
        began = time.monotonic()
        with exclusive(region.lock, on_wait=waiting):
            boot = Boot(region, machine, pause, progress)
            boot.run()
        seconds = {**dict(boot.phases), "total": time.monotonic() - began}
        return _status(region, seconds)

    return side_by_side(regions, bring_up)


def stop(platform: Platform, names: Sequence[str], purge: bool, progress: Progress) -> None:
    """Stops regions to nothing; with `purge` their state goes too. Does nothing for those that do not run."""
    require_local()

    def take_down(region: Layout) -> None:
        waiting = lambda: progress.step(region.name, "another run is at it; waiting")  # noqa: E731
        began = time.monotonic()
        with exclusive(region.lock, on_wait=waiting):
            progress.step(f"{region.name} stop")
            teardown.tear_down(region, known_programs(region))
            if purge:
                teardown.purge(region)
        progress.done(f"{region.name} stop", time.monotonic() - began)

    side_by_side(_layouts(platform, names), take_down)


def status(platform: Platform, names: Sequence[str]) -> list[RegionStatus]:
    """How regions are right now."""
    require_local()
    return side_by_side(_layouts(platform, names), _status)


def _status(region: Layout, seconds: Mapping[str, float] | None = None) -> RegionStatus:
    found = cgroups.hierarchies()
    alive = running(region, known_programs(region), found)
    dead = tuple(name for name in PROCESS_NAMES if name not in alive)
    anything = (
        bool(alive)
        or network.exists(region.network_namespace)
        or bool(cgroups.processes(found, region.cgroup))
    )
    ready = False
    if "kube-apiserver" in alive and (region.pki / f"{ADMIN}.crt").exists():
        ready = node_is_ready(Api(region).get(f"/api/v1/nodes/{region.name}"), 0.0)
    state: State = "stopped"
    if anything:
        state = "degraded" if dead or not ready else "running"
    return RegionStatus(
        name=region.name,
        state=state,
        node_ready=ready,
        address=region.addresses.node,
        memory_bytes=cgroups.memory_bytes(found, region.cgroup) if anything else None,
        dead=dead if anything else (),
        kubeconfig=region.kubeconfig if region.kubeconfig.exists() else None,
        seconds=seconds or {},
    )


def side_by_side(regions: Sequence[Layout], work: Callable[[Layout], Result]) -> list[Result]:
    """The work's results in order. Raises the first error in that order, once all have ended.

    In daemon threads: an interrupt ends this process at once, and the next run goes on from what the kernel shows.
    """
    results: dict[str, Result] = {}
    errors: dict[str, BaseException] = {}

    def one(region: Layout) -> None:
        try:
            results[region.name] = work(region)
        except BaseException as error:  # raised again below, in the thread that asked
            errors[region.name] = error

    threads = [
        threading.Thread(target=one, args=(region,), name=region.name, daemon=True) for region in regions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for region in regions:
        if region.name in errors:
            raise errors[region.name]
    return [results[region.name] for region in regions]


def logs(platform: Platform, name: str, process: str | None) -> tuple[Path, ...]:
    """Log files of a region's processes. Raises UsageError for an unknown process or a region without logs."""
    require_local()
    (region,) = _layouts(platform, (name,))
    if process is not None and process not in PROCESS_NAMES:
        raise UsageError(f"no process {process!r} in a region", hint=f"one of: {', '.join(PROCESS_NAMES)}")
    wanted = (process,) if process else PROCESS_NAMES
    files = tuple(path for each in wanted if (path := log_file(region, each)).exists())
    if not files:
        raise UsageError(
            f"{name} has no logs of {process or 'any process'}", hint=f"vitalops regions start {name}"
        )
    return files


def shell(platform: Platform, name: str, command: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Command line and environment that run `command` in the region's network, with its kubeconfig and kubectl.

    Raises UsageError where the region does not run.
    """
    require_local()
    (region,) = _layouts(platform, (name,))
    if not network.exists(region.network_namespace):
        raise UsageError(f"{name} does not run", hint=f"vitalops regions start {name}")
    tools = locate("kubernetes", Paths.from_environment()).tools
    folders = [str(tools["kubectl"].parent)] if "kubectl" in tools else []
    path = ":".join((*folders, os.environ.get("PATH", SYSTEM_FOLDERS)))
    environment = {**os.environ, "KUBECONFIG": str(region.kubeconfig), "PATH": path, REGION_VARIABLE: name}
    return [*inside(region.network_namespace_file), *command], environment
