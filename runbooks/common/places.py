"""Where runbooks of a whole pair act."""

from __future__ import annotations

from typing import Any

from runbooks.common.workloads import Workload, a_ready_pod
from runbooks.engine.model import Target
from vitalops import conventions as c
from vitalops.model.platform import FailoverPair, Platform
from vitalops.model.selection import resolve_pair
from vitalops.ports.cluster import Executed
from vitalops.ports.running import RunningPlatform


def pair_named(platform: Platform, name: str) -> FailoverPair:
    """The pair of that name; the only one that starts by default where it is empty. Raises UsageError."""
    return resolve_pair(platform, name or None)


def both_regions(parameters: Any, platform: Platform) -> tuple[str, ...]:
    """Regions of the parameters' `pair`: which of them is active is known when the run acts."""
    pair = pair_named(platform, parameters.pair)
    return (pair.primary, pair.standby)


def whole_pair(parameters: Any, platform: Platform) -> tuple[Target, ...]:
    """The parameters' `pair`, locked as a whole."""
    return (Target("pair", pair_named(platform, parameters.pair).name),)


def in_service(
    running: RunningPlatform, region: str, service: str, *command: str, send: str = "", timeout: float = 60.0
) -> Executed:
    """A command in a ready pod of a service. Raises UsageError where no pod is ready."""
    target = Workload(c.NAMESPACE_SERVICES, service)
    cluster = running.cluster(region)
    pod = a_ready_pod(cluster, target)
    return cluster.execute(target.namespace, pod, command, container=service, send=send, timeout=timeout)
