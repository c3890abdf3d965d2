"""The newest backup, restored in the other region and compared with what the source held."""

from __future__ import annotations

import threading

import pytest

from tests.cluster.backups.database import source_of
from tests.cluster.conftest import RunningPlatform
from tests.cluster.runbooks.rehearsing import rehearse

pytestmark = pytest.mark.rehearsal


def test_a_restore_equals_its_source_while_that_is_written_to(running_platform: RunningPlatform) -> None:
    source = source_of(running_platform)
    stop = threading.Event()
    written = 0

    def write(database: str) -> None:
        nonlocal written
        while not stop.is_set():
            source.sql("INSERT INTO entry DEFAULT VALUES", database)
            written += 1

    with source.own_database() as database:
        source.sql(
            "CREATE TABLE entry(id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz DEFAULT now())",
            database,
        )
        writer = threading.Thread(target=write, args=(database,))
        writer.start()
        try:
            run = rehearse(running_platform, "restore-drill", "--pair", running_platform.pair.name)
        finally:
            stop.set()
            writer.join()
        marked = run["outputs"]["mark"]["tables"][f"{database}.public.entry"]
    outputs = run["outputs"]
    assert outputs["choose"]["holder"] == source.holder
    assert outputs["compare"]["equal"] is True
    assert outputs["compare"]["digest"] == outputs["mark"]["digest"]
    assert outputs["compare"]["tables"] > 40
    assert outputs["restore"]["position"] == outputs["mark"]["position"]
    # The writer went on while the copy was made: the moment was one, not the end.
    assert 0 < int(marked.split()[0]) < written
    namespaces = running_platform.kubectl(source.holder, "get", "namespaces", "-o", "name").stdout
    assert "vitalops-restore-" not in namespaces
