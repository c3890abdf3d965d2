"""Backups by commands in pods, on a cluster that answers from a script."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from infra.components.args import RegionArgs
from infra.operations.backups import DATA, ClusterBackups
from vitalops.errors import RemoteError
from vitalops.ports.backups import Fingerprint, RestorePhase, RestoreTarget, TargetKind
from vitalops.ports.cluster import Executed, FakeCluster

POD = f"{DATA}/pods/postgres-fr-par-0"
SCRATCH = "/api/v1/namespaces/vitalops-restore-x"
HELD = {
    "label": "F",
    "kind": "full",
    "started": 1000.0,
    "ended": 1009.0,
    "database_bytes": 10,
    "stored_bytes": 5,
    "first_wal": "",
    "last_wal": "",
    "broken": False,
    "mark": "",
}
ARCHIVER = {"primary": True, "waiting": 2, "waiting_since": 90.0, "last_wal": "W", "wal_bytes": 7}


@dataclass
class Pods:
    """Answers of `python3 -m vitalops.backup`, by command."""

    answers: dict[str, Any] = field(default_factory=dict[str, Any])
    asked: list[Sequence[str]] = field(default_factory=list[Sequence[str]])

    def __call__(self, namespace: str, pod: str, command: Sequence[str], send: str) -> Executed:
        assert send == ""
        self.asked.append(command)
        given = self.answers[command[3] if command[0] == "python3" else command[0]]
        if isinstance(given, Executed):
            return given
        return Executed(0, json.dumps(given), "")


@dataclass
class Scene:
    backups: ClusterBackups
    source: FakeCluster
    holder: FakeCluster
    pods: Pods


@pytest.fixture
def scene(region: Callable[[str], RegionArgs]) -> Scene:
    pods = Pods({"state": {"repository": {"backups": [HELD], "cipher": "aes-256-cbc"}, "archiver": ARCHIVER}})
    source, holder = FakeCluster("fr-par", executes=pods), FakeCluster("fr-gra", executes=pods)
    source.objects[POD] = {"metadata": {"name": "postgres-fr-par-0"}}
    sets = "/apis/apps/v1/namespaces/vitalops-data/statefulsets/postgres-fr-gra"
    containers = [{"name": "guard", "image": "no"}, {"name": "postgres", "image": "database:1"}]
    holder.objects[sets] = {"spec": {"template": {"spec": {"containers": containers}}}}
    clusters = {"fr-par": source, "fr-gra": holder}
    return Scene(ClusterBackups(region("fr-par"), clusters.__getitem__, lambda: 100.0), source, holder, pods)


def test_the_state_is_the_repositorys_and_the_archivers(scene: Scene) -> None:
    state = scene.backups.state()
    assert scene.backups.holder == "fr-gra"
    assert state.encrypted
    assert state.last is not None
    assert state.last.label == "F"
    assert state.archiving is not None
    assert (state.archiving.waiting, state.archiving.behind_seconds) == (2, 10.0)


def test_a_region_that_is_no_primary_has_no_backups_to_make(scene: Scene) -> None:
    scene.source.objects[f"{DATA}/pods/other"] = scene.source.objects.pop(POD)
    scene.source.objects[f"{DATA}/pods/other"]["metadata"]["deletionTimestamp"] = "now"
    assert scene.backups.state().archiving is None
    assert scene.backups.archiving() is None
    with pytest.raises(RemoteError, match="fr-par: its database is not the primary"):
        scene.backups.make("full", 60.0)


def test_a_backup_with_a_mark_is_made_once(scene: Scene) -> None:
    state = scene.pods.answers["state"]["repository"]

    scene.pods.answers["make"] = {"mark": "run-1", "ok": True, "problem": "", "seconds": 1.0}
    with pytest.raises(RemoteError, match="was made and is not in the repository"):
        scene.backups.make("incr", 60.0, "run-1")
    state["backups"].append({**HELD, "label": "I", "mark": "run-1"})
    before = len(scene.pods.asked)
    assert scene.backups.make("incr", 60.0, "run-1").label == "I"
    assert all("make" not in command for command in scene.pods.asked[before:])


def test_the_archive_is_known_without_the_repository(scene: Scene) -> None:
    del scene.pods.answers["state"]
    scene.pods.answers["archiver"] = ARCHIVER
    found = scene.backups.archiving()
    assert found is not None
    assert found.waiting == 2
    scene.pods.answers["archiver"] = {**ARCHIVER, "primary": False}
    assert scene.backups.archiving() is None


def test_why_a_backup_failed_is_told(scene: Scene) -> None:
    scene.pods.answers["make"] = {
        "mark": "m",
        "ok": False,
        "problem": "pgbackrest backup: no",
        "seconds": 1.0,
    }
    with pytest.raises(RemoteError, match="region fr-par: pgbackrest backup: no"):
        scene.backups.make("incr", 60.0, "m")
    scene.pods.answers["make"] = Executed(3, "", "trace\nbackup: it goes on")
    with pytest.raises(RemoteError, match="region fr-par: it goes on"):
        scene.backups.make("incr", 60.0, "m")
    scene.pods.answers["make"] = Executed(0, "what", "")
    with pytest.raises(RemoteError, match="answered nothing that can be read"):
        scene.backups.make("incr", 60.0, "m")


def test_a_restore_begins_once_with_the_holders_own_image(scene: Scene) -> None:
    target = RestoreTarget(TargetKind.TIME, "2026-11-23T01:00:00.5+01:00")
    assert scene.backups.begin_restore("restore-drill-x", target) == "vitalops-restore-x"
    container = scene.holder.objects[f"{SCRATCH}/pods/restored"]["spec"]["containers"][0]
    assert container["image"] == "database:1"
    values = {each["name"]: each["value"] for each in container["env"]}
    assert values["VITALOPS_RESTORE_TARGET"] == "2026-11-23 00:00:00.500000+00"
    assert "/api/v1/namespaces/vitalops-restore-x" in scene.holder.objects


@pytest.mark.parametrize(
    ("pod", "phase"),
    [
        (None, RestorePhase.ABSENT),
        ({"metadata": {"deletionTimestamp": "now"}}, RestorePhase.ABSENT),
        ({"metadata": {}, "status": {"phase": "Pending"}}, RestorePhase.STARTING),
        ({"metadata": {}, "status": {"phase": "Failed"}}, RestorePhase.FAILED),
        ({"metadata": {}, "status": {"phase": "Running"}}, RestorePhase.RECOVERING),
    ],
)
def test_the_phases_of_a_restore(scene: Scene, pod: dict[str, Any] | None, phase: RestorePhase) -> None:
    if pod is not None:
        scene.holder.objects[f"{SCRATCH}/pods/restored"] = pod
        scene.holder.objects[f"{SCRATCH}/pods/restored/log"] = {"text": "one\nbackup: wrong key\n"}
    scene.pods.answers["cat"] = {"phase": "recovering", "label": "F", "bytes": 3, "copied_seconds": 1.0}
    state = scene.backups.restore_state("restore-drill-x")
    assert state.phase is phase
    assert state.problem == ("wrong key" if phase is RestorePhase.FAILED else "")


def test_fingerprints_and_points_are_read(scene: Scene) -> None:
    prints = {"records.public.note": [2, "-7"]}
    scene.pods.answers["fingerprints"] = prints
    scene.pods.answers["point"] = {"name": "p", "position": "0/1", "at": 0.0, "prints": prints}
    expected = {"records.public.note": Fingerprint(2, "-7")}
    assert scene.backups.restored("restore-drill-x", 10.0) == expected
    assert scene.backups.point("p", 10.0).fingerprints == expected


def test_the_end_of_a_restore_is_the_end_of_its_namespace(scene: Scene) -> None:
    scene.holder.objects[SCRATCH] = {"metadata": {"name": "vitalops-restore-x"}}
    scene.backups.end_restore("restore-drill-x", 10.0)
    assert SCRATCH not in scene.holder.objects
    scene.backups.end_restore("restore-drill-x", 10.0)
