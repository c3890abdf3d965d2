"""Room on volumes: what may go, goes; what is needed, stays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from runbooks.disk_pressure import _FREE, KEPT_WAL, RUNBOOK, DiskParameters, size
from tests.unit.runbooks.drive import Drive
from vitalops.conventions import ALERT_ARCHIVE_LAG, METRIC_REGION, NAMESPACE_BACKUPS, OBJECTS_SERVICE
from vitalops.errors import GateFailed, UsageError
from vitalops.model.platform import Platform
from vitalops.ports.backups import Archiving, FakeBackups
from vitalops.ports.cluster import FakeCluster
from vitalops.ports.fakes import FakeRunning
from vitalops.ports.metrics import Sample

SERVER = f"/apis/apps/v1/namespaces/{NAMESPACE_BACKUPS}/statefulsets/{OBJECTS_SERVICE}"
PODS = f"/api/v1/namespaces/{NAMESPACE_BACKUPS}/pods"
CLAIM = "/api/v1/namespaces/vitalops-data/persistentvolumeclaims/data"
HEALTHY = Archiving(0, 0.0, "", 100 << 20)


@dataclass
class Draining(FakeBackups):
    """WAL goes out, a segment for each look, once the S3 server is ready."""

    server: FakeCluster = field(default_factory=FakeCluster)

    def archiving(self) -> Archiving | None:
        found = self.server.objects.get(SERVER, {})
        ready = found.get("spec", {}).get("replicas") and PODS + "/bad" not in self.server.objects
        if ready and self.leaving and self.leaving.waiting:
            self.leaving = replace(self.leaving, waiting=self.leaving.waiting - 1)
        return self.leaving


@dataclass
class Checkpointing:
    """A database whose checkpoint removes the WAL that is archived."""

    store: FakeBackups
    checkpoints: int = 0

    def checkpoint(self, timeout: float) -> None:
        del timeout
        self.checkpoints += 1
        if self.store.leaving and not self.store.leaving.waiting:
            self.store.leaving = HEALTHY


def scene(platform: Platform, **free: float) -> tuple[FakeRunning, Draining, Checkpointing]:
    server = FakeCluster("fr-gra")
    server.objects[SERVER] = {"spec": {"replicas": 1}, "status": {"readyReplicas": 1}}
    store = Draining("fr-par", "fr-gra", server=server, leaving=HEALTHY)
    database = Checkpointing(store)
    other = FakeBackups("fr-gra", "fr-par", leaving=None)
    running = FakeRunning(
        platform,
        clusters={"fr-gra": server, "fr-par": FakeCluster("fr-par")},
        stores={"fr-par": store, "fr-gra": other},
        databases={"fr-par": database},  # type: ignore[dict-item]
    )
    for region in ("fr-par", "fr-gra"):
        running.metrics(region).instants[_FREE] = tuple(
            Sample({"namespace": name.replace("_", "-"), "persistentvolumeclaim": "data"}, value, 0.0)
            for name, value in ({"vitalops_data": 0.5} | free).items()
        )
    return running, store, database


def drive(running: FakeRunning, region: str = "fr-par", **more: Any) -> Drive:
    return Drive(RUNBOOK, DiskParameters(region=region, **more), running)


def test_where_there_is_room_nothing_is_done(platform: Platform) -> None:
    running, _, database = scene(platform)
    run = drive(running).run()
    assert [name for name, verdict in run.verdicts.items() if verdict.needed] == ["look", "room"]
    assert database.checkpoints == 0
    assert running.clusters["fr-gra"].asked == []


def test_an_s3_server_that_was_scaled_away_comes_back_and_the_wal_goes(platform: Platform) -> None:
    running, store, database = scene(platform)
    store.leaving = Archiving(30, 900.0, "", KEPT_WAL + 1)
    store.server.objects[SERVER] = {"spec": {"replicas": 0}, "status": {}}
    run = drive(running).run()
    assert store.server.objects[SERVER]["spec"]["replicas"] == 1
    assert run.outputs["archive"]["did"] == "its S3 server was scaled to one again"
    assert run.verdicts["archive"].changes[1].before == "scaled to nothing"
    assert database.checkpoints == 1
    assert run.outputs["wal"]["after_bytes"] == HEALTHY.wal_bytes
    assert not run.check("archive").needed
    assert not run.check("wal").needed


def test_an_s3_server_that_is_not_ready_is_started_anew_once(platform: Platform) -> None:
    running, store, _ = scene(platform)
    store.leaving = Archiving(9, 900.0, "", 1)
    store.server.objects[SERVER] = {"spec": {"replicas": 1}, "status": {}}
    store.server.objects[f"{PODS}/bad"] = {"metadata": {"name": "bad"}}
    run = drive(running).run()
    assert run.outputs["archive"]["did"] == "its S3 server was started anew"
    assert store.server.asked.count(("DELETE", f"{PODS}/bad")) == 1


def test_wal_that_does_not_go_is_told_when_the_time_is_over(platform: Platform) -> None:
    running, store, _ = scene(platform)
    store.leaving = Archiving(9, 900.0, "", 1)
    store.server.objects[f"{PODS}/bad"] = {"metadata": {"name": "bad"}}
    with pytest.raises(GateFailed, match="WAL is archived: 9 segments wait after 900 s"):
        drive(running).run()


def test_backups_expire_in_the_region_that_holds_them(platform: Platform) -> None:
    running, store, _ = scene(platform, vitalops_backups=0.05)
    for _ in range(7):
        store.make("full", 1.0)
    run = drive(running, "fr-gra")
    with pytest.raises(GateFailed, match=r"still short of room: vitalops-backups/data \(5% free\)"):
        run.run()
    assert len(store.kept) == store.keep
    assert run.outputs["expire"] == {"expired": 3}


def test_a_short_volume_that_nothing_helps_is_a_finding(platform: Platform) -> None:
    running, _, _ = scene(platform, vitalops_data=0.1)
    with pytest.raises(GateFailed, match=r"vitalops-data/data \(10% free\).*--grow-to"):
        drive(running).run()


def claim(running: FakeRunning, *, expands: bool) -> dict[str, Any]:
    cluster = running.clusters["fr-par"]
    cluster.objects[CLAIM] = {
        "metadata": {"name": "data"},
        "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "2Gi"}}},
        "status": {"capacity": {"storage": "8Gi"}},
    }
    cluster.objects["/apis/storage.k8s.io/v1/storageclasses/fast"] = {"allowVolumeExpansion": expands}
    return cluster.objects[CLAIM]


def test_a_volume_is_made_larger_where_that_is_asked_for_and_possible(platform: Platform) -> None:
    running, _, _ = scene(platform)
    claim(running, expands=True)
    run = drive(running, claim="vitalops-data/data", grow_to="8Gi").run()
    grown = running.clusters["fr-par"].objects[CLAIM]
    assert grown["spec"]["resources"]["requests"]["storage"] == "8Gi"
    assert not run.check("grow").needed


def test_a_volume_that_cannot_grow_is_refused(platform: Platform) -> None:
    running, _, _ = scene(platform)
    claim(running, expands=False)
    with pytest.raises(UsageError, match="storage class fast of fr-par cannot make a volume larger"):
        drive(running, claim="vitalops-data/data", grow_to="8Gi").run()


@pytest.mark.parametrize(
    "given",
    [
        {"region": "fr-pra"},
        {"region": "fr-par", "claim": "a/b"},
        {"region": "fr-par", "claim": "b", "grow_to": "8Gi"},
        {"region": "fr-par", "claim": "a/b", "grow_to": "8GB"},
    ],
)
def test_what_cannot_be_meant_is_refused(platform: Platform, given: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        RUNBOOK.targets(DiskParameters(**given), platform)


def test_the_alerts_name_the_region(platform: Platform) -> None:
    by_alert = {binding.alert: binding for binding in RUNBOOK.answers}
    assert by_alert[ALERT_ARCHIVE_LAG].parameters({METRIC_REGION: "fr-par"}, platform) == DiskParameters(
        region="fr-par"
    )
    assert by_alert[ALERT_ARCHIVE_LAG].parameters({}, platform) is None
    assert size("2Gi") == 2 << 30
