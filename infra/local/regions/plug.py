"""Pulling a region's plug: every process of it dies at once, as when the power fails. For drills and tests.

What there was to write is not written. The region's namespace, its addresses and its disk stay; `regions start` brings
it back.
"""

from __future__ import annotations

import signal

from infra.local.regions import cgroups
from infra.local.regions.layout import Layout
from infra.local.regions.supervision import send, wait_gone
from infra.local.regions.teardown import processes_in_namespace
from vitalops.errors import RemoteError


def pull(region: Layout) -> None:
    """Raises RemoteError where something does not die."""
    found = cgroups.hierarchies()
    left: set[int] = set()
    for _ in range(50):  # a process may fork between the look and the signal
        left = cgroups.processes(found, region.cgroup) | processes_in_namespace(region)
        if not left:
            return
        send(left, signal.SIGKILL)
        wait_gone(left, 0.2)
    raise RemoteError(f"{region.name}: processes {sorted(left)} do not die")
