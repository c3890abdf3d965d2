"""The S3 server is gone, WAL piles up, writes go on; then the run brings everything back."""

from __future__ import annotations

import pytest

from tests.cluster.backups.database import Source, eventually, source_of
from tests.cluster.conftest import RunningPlatform
from tests.cluster.runbooks.rehearsing import rehearse

pytestmark = pytest.mark.rehearsal
SEGMENTS = 8


def waiting(source: Source) -> int:
    return int(source.sql("SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"))


def test_wal_that_piled_up_leaves_again(running_platform: RunningPlatform) -> None:
    source = source_of(running_platform)
    source.scale_server(0)
    try:
        with source.own_database() as database:
            source.sql("CREATE TABLE entry(id int)", database)
            for _ in range(SEGMENTS):
                # Writes do not wait for the archive.
                source.sql("INSERT INTO entry SELECT count(*) FROM entry", database)
                source.switch()
            assert source.sql("SELECT count(*) FROM entry", database) == str(SEGMENTS)
            eventually("WAL waits", lambda: waiting(source) >= SEGMENTS)
            run = rehearse(running_platform, "disk-pressure", "--region", source.region)
    finally:
        source.scale_server(1)
    outputs = run["outputs"]
    assert outputs["look"]["waiting"] >= SEGMENTS
    assert outputs["archive"]["did"] == "its S3 server was scaled to one again"
    assert waiting(source) <= 2
    archived = source.state()["repository"]["newest"]
    assert archived >= source.sql("SELECT last_archived_wal FROM pg_stat_archiver")[:24]
