"""Every runbook by name, imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from runbooks.engine.model import Runbook
from vitalops.errors import UsageError
from vitalops.suggest import closest, shown

MODULES: Final[tuple[str, ...]] = (
    "service_rollback",
    "scale_out",
    "queue_drain",
    "certificate_rotation",
    "secret_rotation",
    "access_revocation",
    "backup_now",
    "restore_drill",
    "disk_pressure",
    "stuck_migration",
    "dns_outage",
    "drain_media_node",
    "video_degradation",
    "region_failover",
    "region_failback",
    "degrade_to_async",
    "database_leader_replace",
)
"""Modules of this package, in the order in which they are listed. A runbook's name is its module's, with hyphens."""


def names() -> tuple[str, ...]:
    return tuple(module.replace("_", "-") for module in MODULES)


def runbook(name: str) -> Runbook[Any]:
    """Raises UsageError for a name that is none."""
    if name not in names():
        near = closest(name, names())
        raise UsageError(
            f"there is no runbook {shown(name)}",
            hint=f"did you mean {near!r}?" if near else "see: vitalops runbook list",
        )
    found: Runbook[Any] = import_module(f"runbooks.{name.replace('-', '_')}").RUNBOOK
    return found


def runbooks() -> tuple[Runbook[Any], ...]:
    return tuple(runbook(name) for name in names())
