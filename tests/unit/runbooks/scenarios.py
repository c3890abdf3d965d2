"""For each runbook, a platform on which it has something to do: made by its own tests."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from typing import Any, Final

import pytest

from runbooks import database_leader_replace, degrade_to_async, region_failback
from tests.unit.runbooks.drive import Drive
from vitalops.model.platform import Platform
from vitalops.pki import CertificateAuthority
from vitalops.ports.clock import FakeClock
from vitalops.ports.fakes import FakeRunning
from vitalops.ports.fakes_database import FakePair

Scenario = Callable[[Platform, pytest.MonkeyPatch], Drive]


def tests_of(name: str) -> Any:
    return import_module(f"tests.unit.runbooks.test_{name}")


def _service_rollback(platform: Platform, _: pytest.MonkeyPatch) -> Drive:
    its = tests_of("service_rollback")
    cluster = its.stuck()
    its.ready_pod(cluster)
    cluster.executes = its.says(["r0002"], {})
    return its.drive(platform, cluster)


def _scale_out(platform: Platform, _: pytest.MonkeyPatch) -> Drive:
    its = tests_of("scale_out")
    return its.drive(platform, its.cluster())


def _queue_drain(platform: Platform, _: pytest.MonkeyPatch) -> Drive:
    its = tests_of("queue_drain")
    return its.Queues(platform, {"consent": its.Outbox(given_up=[its.BEGAN - 60])}).drive()


def _certificate_rotation(platform: Platform, patch: pytest.MonkeyPatch) -> Drive:
    its = tests_of("certificate_rotation")
    world = its.World(platform)
    patch.setattr(its.certificate_rotation, "shown_at", lambda _: world.shown["edge"])
    world.running.clock.advance(86_400)
    return world.drive()


def _secret_rotation(platform: Platform, _: pytest.MonkeyPatch) -> Drive:
    its = tests_of("secret_rotation")
    return its.World(platform).drive(its.Kind.TOKEN_KEYS)


def _access_revocation(platform: Platform, _: pytest.MonkeyPatch) -> Drive:
    return tests_of("access_revocation").World(platform).drive()


def _backup_now(platform: Platform, _: pytest.MonkeyPatch) -> Drive:
    its = tests_of("backups")
    running, _store = its.scene(platform)
    return Drive(its.backup_now.RUNBOOK, its.BackupParameters(pair="france"), running)


def _restore_drill(platform: Platform, _: pytest.MonkeyPatch) -> Drive:
    its = tests_of("backups")
    running, _store = its.scene(platform)
    return its.drill(running)


def _disk_pressure(platform: Platform, _: pytest.MonkeyPatch) -> Drive:
    its = tests_of("disk_pressure")
    running, store, _database = its.scene(platform)
    store.leaving = its.Archiving(30, 900.0, "", its.KEPT_WAL + 1)
    store.server.objects[its.SERVER] = {"spec": {"replicas": 0}, "status": {}}
    # The fake knows no empty collections.
    store.server.objects[f"{its.PODS}/other"] = {
        "metadata": {"name": "other"},
        "status": {"phase": "Running"},
    }
    return its.drive(running)


def _stuck_migration(platform: Platform, _: pytest.MonkeyPatch) -> Drive:
    its = tests_of("stuck_migration")
    running, _database = its.scene(platform, its.holder("1"), its.holder("2"))
    return its.drive(running)


def _dns_outage(platform: Platform, _: pytest.MonkeyPatch) -> Drive:
    its = tests_of("dns_outage")
    return its.drive(platform, its.edge(broken="its process does not run"), its.name("fr-gra"))


def _drain_media_node(platform: Platform, _: pytest.MonkeyPatch) -> Drive:
    return tests_of("drain_media_node").drive(platform, calls=2)


def _video_degradation(platform: Platform, _: pytest.MonkeyPatch) -> Drive:
    its = tests_of("video_degradation")
    return its.drive(platform, its.BAD)


@cache
def _certificate() -> str:
    issued = CertificateAuthority.create("an authority").issue("gateway", dns=("localhost",), ip=())
    return base64.b64encode(issued.certificate_pem.encode()).decode()


def _two_regions(platform: Platform) -> tuple[FakeRunning, FakePair]:
    its = tests_of("region_failover")
    pair = FakePair(its.HERE, its.THERE)
    running = FakeRunning(platform, FakeClock(datetime.now(UTC)))
    pair.clock = running.clock
    for region in (its.HERE, its.THERE):
        its.furnish(running.cluster(region), _certificate())
    running.databases.update(pair.databases)
    return running, pair


def _region_failover(platform: Platform, _: pytest.MonkeyPatch) -> Drive:
    running, _pair = _two_regions(platform)
    return tests_of("region_failover").move(running, planned=True)


def _region_failback(platform: Platform, _: pytest.MonkeyPatch) -> Drive:
    running, _pair = _two_regions(platform)
    tests_of("region_failover").move(running, planned=True).run()
    return Drive(region_failback.RUNBOOK, region_failback.FailbackParameters(pair="france"), running)


def _degrade_to_async(platform: Platform, _: pytest.MonkeyPatch) -> Drive:
    running, pair = _two_regions(platform)
    pair.standby.lost = True
    attested = "ada, who switched it off"
    parameters = degrade_to_async.DegradeParameters(pair="france", attest_standby_is_off=attested)
    return Drive(degrade_to_async.RUNBOOK, parameters, running)


def _database_leader_replace(platform: Platform, _: pytest.MonkeyPatch) -> Drive:
    running, _pair = _two_regions(platform)
    parameters = database_leader_replace.ReplaceParameters(region="fr-par")
    return Drive(database_leader_replace.RUNBOOK, parameters, running)


SCENARIOS: Final[dict[str, Scenario]] = {
    "service-rollback": _service_rollback,
    "scale-out": _scale_out,
    "queue-drain": _queue_drain,
    "certificate-rotation": _certificate_rotation,
    "secret-rotation": _secret_rotation,
    "access-revocation": _access_revocation,
    "backup-now": _backup_now,
    "restore-drill": _restore_drill,
    "disk-pressure": _disk_pressure,
    "stuck-migration": _stuck_migration,
    "dns-outage": _dns_outage,
    "drain-media-node": _drain_media_node,
    "video-degradation": _video_degradation,
    "region-failover": _region_failover,
    "region-failback": _region_failback,
    "degrade-to-async": _degrade_to_async,
    "database-leader-replace": _database_leader_replace,
}

LOOKING: Final = frozenset({("service-rollback", "schema"), ("secret-rotation", "aware")})
"""Steps whose commands in pods only ask."""
