"""`vitalops status`: what runs in each region, and whether it is as it should be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from infra.components.patroni import POSTGRES, ROLE_LABEL, ROLE_PRIMARY
from infra.engines.objects import collection_path
from infra.engines.readiness import State, judge
from infra.kube import KubeApi
from infra.operations.edge import authority_file
from infra.operations.pairs import PairStatus, pair_status
from infra.operations.setting import Setting
from infra.program.state import active_region
from vitalops import conventions as c
from vitalops.errors import RemoteError
from vitalops.model.platform import FailoverPair
from vitalops.model.selection import pair_of

_WORKLOADS: Final = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "Job"),
)


@dataclass(frozen=True, slots=True)
class Workload:
    kind: str
    namespace: str
    name: str
    ready: bool
    detail: str


@dataclass(frozen=True, slots=True)
class DatabaseMember:
    """`lag_bytes` is how far the member's replay is behind the primary's write position, as both said just now;
    None where one of them was not reached, and for the primary itself."""

    name: str
    role: str
    state: str
    timeline: int | None
    position: int | None
    lag_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class RegionStatus:
    name: str
    reachable: bool
    ready: bool
    problem: str
    workloads: tuple[Workload, ...] = ()
    database: tuple[DatabaseMember, ...] = ()


@dataclass(frozen=True, slots=True)
class EdgeStatus:
    """`answers` is None where the edge is not a process of this machine; `serving` is the region that answered."""

    pair: str
    url: str
    active_region: str
    answers: bool | None
    serving: str
    problem: str


@dataclass(frozen=True, slots=True)
class PlatformStatus:
    """`healthy` is what the command's exit status says."""

    platform: str
    healthy: bool
    regions: tuple[RegionStatus, ...]
    edges: tuple[EdgeStatus, ...]
    pairs: tuple[PairStatus, ...] = ()


def status(setting: Setting) -> PlatformStatus:
    """Asks every region and edge. What is not reached is part of the answer, not an error."""
    with ThreadPoolExecutor(max_workers=max(len(setting.regions), 1)) as pool:
        regions = _with_lag(
            tuple(pool.map(lambda name: region_status(setting, name), setting.regions)), setting
        )
    edges = tuple(edge_status(setting, pair) for pair in setting.pairs)
    installed = {region.name for region in regions if region.workloads}
    pairs = tuple(
        pair_status(setting, pair) for pair in setting.pairs if installed & {pair.primary, pair.standby}
    )
    healthy = (
        all(region.ready for region in regions)
        and all(edge.answers is not False for edge in edges)
        and not any(pair.problem for pair in pairs)
    )
    return PlatformStatus(setting.platform.name, healthy, regions, edges, pairs)


def region_status(setting: Setting, name: str) -> RegionStatus:
    try:
        api = setting.connect(name)
        workloads = tuple(_workloads(api, f"region-{name}"))
        members = tuple(_members(api))
    except RemoteError as error:
        return RegionStatus(name, reachable=False, ready=False, problem=str(error))
    if not workloads:
        problem = f"the platform is not installed: vitalops up {name}"
        return RegionStatus(name, reachable=True, ready=False, problem=problem)
    late = [workload.name for workload in workloads if not workload.ready]
    led = any(
        member.role in ("primary", "standby_leader") and member.state == "running" for member in members
    )
    problem = f"not ready: {', '.join(late)}" if late else "" if led else "the database has no leader"
    return RegionStatus(name, True, not problem, problem, workloads, members)


def _workloads(api: KubeApi, stack: str) -> list[Workload]:
    found: list[Workload] = []
    for api_version, kind in _WORKLOADS:
        query = {"labelSelector": f"{c.LABEL_STACK}={stack}"}
        for item in api.request("GET", collection_path(api_version, kind), query=query, timeout=5.0).get(
            "items", []
        ):
            verdict = judge({"apiVersion": api_version, "kind": kind, **item})
            metadata = item["metadata"]
            ready = verdict.state is State.READY
            found.append(Workload(kind, metadata["namespace"], metadata["name"], ready, verdict.detail))
    return found


def _members(api: KubeApi) -> list[DatabaseMember]:
    path = f"/api/v1/namespaces/{c.NAMESPACE_DATA}/pods"
    query = {"labelSelector": f"{c.LABEL_NAME}={POSTGRES}"}
    found: list[DatabaseMember] = []
    for pod in api.request("GET", path, query=query, timeout=5.0).get("items", []):
        name = str(pod["metadata"]["name"])
        asked: dict[str, Any] = {}
        with suppress(RemoteError):
            # Patroni's own word, through the API server: what Kubernetes knows of it may be seconds old.
            asked = api.request("GET", f"{path}/{name}:{c.PATRONI_PORT}/proxy/patroni", timeout=5.0)
        found.append(member(name, pod["metadata"], asked))
    return found


def member(name: str, metadata: Mapping[str, Any], asked: Mapping[str, Any]) -> DatabaseMember:
    """A member from Patroni's answer, or from what it last wrote to its pod."""
    kept: dict[str, Any] = {}
    with suppress(ValueError):
        kept = json.loads(metadata.get("annotations", {}).get("status", "{}"))
    xlog = asked.get("xlog", {})
    position = xlog.get("location", xlog.get("replayed_location", kept.get("xlog_location")))
    labelled = "primary" if metadata.get("labels", {}).get(ROLE_LABEL) == ROLE_PRIMARY else ""
    return DatabaseMember(
        name=name,
        role=str(asked.get("role") or kept.get("role") or labelled or "unknown"),
        state=str(asked.get("state") or kept.get("state") or "unknown"),
        timeline=asked.get("timeline", kept.get("timeline")),
        position=int(position) if position is not None else None,
    )


def _with_lag(regions: tuple[RegionStatus, ...], setting: Setting) -> tuple[RegionStatus, ...]:
    """Lag of every member behind its pair's primary, whichever region that is in."""
    primaries: dict[str, int] = {}
    for region in regions:
        pair = pair_of(setting.platform, region.name)
        for each in region.database:
            if pair and each.role == "primary" and each.position is not None:
                primaries[pair.name] = each.position
    made: list[RegionStatus] = []
    for region in regions:
        pair = pair_of(setting.platform, region.name)
        written = primaries.get(pair.name) if pair else None
        members = tuple(_lagging(each, written) for each in region.database)
        made.append(
            RegionStatus(
                region.name, region.reachable, region.ready, region.problem, region.workloads, members
            )
        )
    return tuple(made)


def _lagging(each: DatabaseMember, written: int | None) -> DatabaseMember:
    if each.role == "primary" or written is None or each.position is None:
        return each
    # The primary was asked a moment earlier or later: a member cannot be ahead of it.
    lag = max(written - each.position, 0)
    return DatabaseMember(each.name, each.role, each.state, each.timeline, each.position, lag)


def edge_status(setting: Setting, pair: FailoverPair) -> EdgeStatus:
    active = active_region(setting.paths.state, setting.platform.name, pair)
    url = pair.edge.public_url
    if not setting.has_edge_here(pair):
        return EdgeStatus(pair.name, url, active, None, "", "")
    authority = authority_file(setting)
    process = setting.edge_process(pair)
    if process.pid() is None or not authority.exists():
        return EdgeStatus(pair.name, url, active, False, "", "the edge does not run: vitalops up")
    try:
        code, serving = process.answers(authority.read_text())
    except OSError as error:
        return EdgeStatus(pair.name, url, active, False, "", f"no answer: {error}")
    if code != 200:
        return EdgeStatus(pair.name, url, active, False, serving, f"its health page says {code}")
    problem = "" if serving == active else f"answered by {serving}, not by {active}"
    return EdgeStatus(pair.name, url, active, not problem, serving, problem)
