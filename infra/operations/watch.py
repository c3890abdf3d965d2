"""What `vitalops watch` asks a region's cluster for."""

from __future__ import annotations

from infra.engines.lock import leases
from infra.operations.setting import Setting
from infra.operations.status import DatabaseMember, region_status
from vitalops.errors import RemoteError
from vitalops.watch.snapshot import Operation, RegionState

_ROLES = {"primary": "primary", "master": "primary", "standby_leader": "standby"}


def region_state(setting: Setting, region: str) -> RegionState:
    """Whether everything runs, the database's role, and the changes that go on. Only reads.

    Raises RemoteError where the cluster does not answer.
    """
    found = region_status(setting, region)
    if not found.reachable:
        raise RemoteError(found.problem)
    operations = tuple(
        Operation(lease.stack, lease.holder, lease.since) for lease in leases(setting.connect(region))
    )
    return RegionState(found.ready, found.problem, _role(found.database), operations)


def _role(members: tuple[DatabaseMember, ...]) -> str:
    return next((_ROLES[member.role] for member in members if member.role in _ROLES), "unknown")
