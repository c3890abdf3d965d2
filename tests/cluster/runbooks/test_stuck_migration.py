"""A migration that waits for somebody who forgot a transaction."""

from __future__ import annotations

import copy
import json
import subprocess
import time

import pytest

from tests.cluster.backups.database import Source, eventually, source_of
from tests.cluster.conftest import ROOT, VITALOPS, RunningPlatform
from tests.cluster.runbooks.rehearsing import rehearse
from vitalops.conventions import NAMESPACE_DATA

pytestmark = pytest.mark.rehearsal
NAME = "database-migrations-rehearsal"
FORGOTTEN = "forgotten"
GENERATED = (
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "job-name",
    "batch.kubernetes.io/job-name",
)


def begin_migration(source: Source) -> None:
    """The job of `up` once more, under another name."""
    jobs = source.running.kubectl_json(
        source.region, "-n", NAMESPACE_DATA, "get", "jobs", "-l", "app.kubernetes.io/name=database-migrations"
    )["items"]
    spec = copy.deepcopy(jobs[-1]["spec"])
    spec.pop("selector", None)
    for label in GENERATED:
        spec["template"]["metadata"]["labels"].pop(label, None)
    made = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE_DATA,
            "labels": {"app.kubernetes.io/name": "database-migrations"},
        },
        "spec": spec,
    }
    subprocess.run(
        [str(VITALOPS), "regions", "shell", source.region, "--", "kubectl", "create", "-f", "-"],
        input=json.dumps(made),
        text=True,
        cwd=ROOT,
        check=True,
        capture_output=True,
    )


def forget(source: Source) -> subprocess.Popen[str]:
    """A session that locks what the migration reads first, and then forgets it."""
    command = f"psql -Xq 'dbname=records application_name={FORGOTTEN}'"
    pod = f"postgres-{source.region}-0"
    session = subprocess.Popen(
        [
            str(VITALOPS),
            "regions",
            "shell",
            source.region,
            "--",
            *("kubectl", "-n", NAMESPACE_DATA, "exec", "-i", pod, "-c", "backup", "--", "sh", "-c", command),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    assert session.stdin is not None
    session.stdin.write("BEGIN;\nLOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE;\n")
    session.stdin.flush()
    return session


def test_the_forgotten_transaction_is_ended_and_the_migration_completes(
    running_platform: RunningPlatform,
) -> None:
    source = source_of(running_platform)
    session = forget(source)
    idle = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'forgotten' AND state LIKE 'idle in%'"
    )
    try:
        eventually("the lock is held", lambda: source.sql(idle) == "1")
        begin_migration(source)
        blocked = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'migrate' AND cardinality(pg_blocking_pids(pid)) > 0"
        )
        eventually("the migration waits", lambda: source.sql(blocked) == "1", seconds=120)
        time.sleep(3)
        run = rehearse(
            running_platform, "stuck-migration", "--pair", running_platform.pair.name, "--idle-seconds", "2"
        )
        outputs = run["outputs"]
        assert outputs["look"]["jobs"][NAME] == "running"
        (ended,) = outputs["unblock"]["ended"]
        assert ended.startswith(f"{FORGOTTEN} in records")
        jobs = running_platform.kubectl_json(source.region, "-n", NAMESPACE_DATA, "get", "job", NAME)
        assert jobs["status"]["succeeded"] == 1
    finally:
        session.kill()
        session.wait()
        running_platform.kubectl(
            source.region, "-n", NAMESPACE_DATA, "delete", "job", NAME, "--ignore-not-found", check=False
        )
