"""How a backup is restored to be looked at: nothing of the source is touched, nothing is archived, nobody connects."""

from __future__ import annotations

import json
from pathlib import Path

from vitalops.backup import variables as v
from vitalops.backup.scratch import label_in, matched, restore_command, server_command, tell

CONTROL = """\
pg_control version number:            1700
Database cluster state:               in archive recovery
max_connections setting:              120
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           0
max_locks_per_xact setting:           64
"""


def test_the_target_is_reached_and_kept_and_nothing_is_archived() -> None:
    command = restore_command("fr-par", {v.TARGET_KIND: "name", v.TARGET: "drill-1"})
    assert command[0] == "pgbackrest"
    assert command[-1] == "restore"
    assert {
        "--type=name",
        "--target=drill-1",
        "--target-action=pause",
        "--archive-mode=off",
        "--target-timeline=latest",
    } < set(command)


def test_settings_that_recovery_insists_on_are_the_sources() -> None:
    assert matched(CONTROL) == {
        "max_connections": "120",
        "max_worker_processes": "8",
        "max_wal_senders": "10",
        "max_prepared_transactions": "0",
        "max_locks_per_transaction": "64",
    }
    assert matched("nothing of the kind") == {}


def test_the_copy_listens_to_no_network_and_reads_no_configuration_of_the_source(tmp_path: Path) -> None:
    command = server_command({"max_connections": "120"}, tmp_path / "postgresql.conf")
    assert "--listen_addresses=" in command
    assert "--archive_mode=off" in command
    assert "--max_connections=120" in command
    assert f"--config_file={tmp_path}/postgresql.conf" in command
    assert f"--hba_file={tmp_path}/pg_hba.conf" in command


def test_the_label_is_what_pgbackrest_says() -> None:
    said = "2026-11-23 P00   INFO: repo1: restore backup set 20261123-002143F_20261123-003539I, recovery will start"
    assert label_in(said) == "20261123-002143F_20261123-003539I"
    assert label_in("") == ""


def test_a_status_replaces_the_one_before(tmp_path: Path) -> None:
    tell(tmp_path, phase="restoring")
    tell(tmp_path, phase="ready", position="0/1")
    assert json.loads((tmp_path / "status.json").read_text()) == {"phase": "ready", "position": "0/1"}
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]
