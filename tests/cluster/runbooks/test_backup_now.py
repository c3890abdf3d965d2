"""A backup on request, made by the container beside the primary and found in the other region."""

from __future__ import annotations

import pytest

from tests.cluster.backups.database import source_of
from tests.cluster.conftest import RunningPlatform
from tests.cluster.runbooks.rehearsing import rehearse

pytestmark = pytest.mark.rehearsal


def test_a_backup_is_made_now(running_platform: RunningPlatform) -> None:
    source = source_of(running_platform)
    run = rehearse(running_platform, "backup-now", "--pair", running_platform.pair.name)
    made = run["outputs"]["make"]
    assert run["outputs"]["look"]["region"] == source.region
    assert made["stored_bytes"] > 0
    marked = {backup["mark"]: backup["label"] for backup in source.state()["repository"]["backups"]}
    assert marked[run["id"]] == made["label"]
    there = source.server("ls", f"/data/{source.region}/pgbackrest/backup/{source.region}/{made['label']}")
    assert "backup.manifest" in there.stdout
