"""Restores a backup to a moment and starts PostgreSQL on it: read-only, archiving nothing, answering in its pod alone.

The process goes through the phases that `status.json` tells: restoring, recovering, ready; or failed. It ends with
PostgreSQL, whose data goes with the pod.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from vitalops.backup import variables as v
from vitalops.backup.commands import one_line
from vitalops.errors import RemoteError

STATUS: Final = "status.json"
_MATCHED: Final = {
    "max_connections": "max_connections setting",
    "max_worker_processes": "max_worker_processes setting",
    "max_wal_senders": "max_wal_senders setting",
    "max_prepared_transactions": "max_prepared_xacts setting",
    "max_locks_per_transaction": "max_locks_per_xact setting",
}
"""Settings in which a standby may not be behind its primary, by pg_controldata's names for them."""


def restore_command(stanza: str, environ: Mapping[str, str]) -> list[str]:
    """pgBackRest's, for the target that the pod's environment names."""
    kind, target = environ[v.TARGET_KIND], environ[v.TARGET]
    return [
        "pgbackrest",
        f"--config={v.CONFIG_FILE}",
        f"--stanza={stanza}",
        f"--pg1-path={v.DATA}",
        f"--type={kind}",
        f"--target={target}",
        "--target-action=pause",
        f"--target-timeline={environ.get(v.TARGET_TIMELINE, '') or 'latest'}",
        "--archive-mode=off",
        "--log-level-console=info",
        "restore",
    ]


def matched(control_data: str) -> dict[str, str]:
    """The settings that recovery insists on, from pg_controldata."""
    told = dict(re.findall(r"^([^:\n]+):\s+(.*)$", control_data, re.MULTILINE))
    return {name: told[label].strip() for name, label in _MATCHED.items() if label in told}


def server_command(settings: Mapping[str, str], config: Path) -> list[str]:
    """PostgreSQL with a configuration of its own: what came with the backup names another pod's files."""
    fixed = {
        "listen_addresses": "",
        "unix_socket_directories": v.SOCKETS,
        "unix_socket_permissions": "0700",
        "hot_standby": "on",
        "archive_mode": "off",
        "ssl": "off",
        "shared_buffers": "64MB",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "hba_file": str(config.parent / "pg_hba.conf"),
        "ident_file": str(config.parent / "pg_ident.conf"),
    }
    options = [f"--{name}={value}" for name, value in {**fixed, **settings}.items()]
    return [f"{v.BINARIES}/postgres", "-D", v.DATA, f"--config_file={config}", *options]


def label_in(said: str) -> str:
    """The backup that pgBackRest says it restores."""
    found = re.search(r"restore backup set (\S+?),? ", said)
    return found.group(1) if found else ""


def tell(folder: Path, **more: Any) -> None:
    """Replace the status."""
    temporary = folder / f"{STATUS}.new"
    temporary.write_text(json.dumps(more))
    temporary.replace(folder / STATUS)


def restore(folder: Path, stanza: str, environ: Mapping[str, str]) -> None:
    """Runs until PostgreSQL ends. Raises RemoteError where there is nothing to start; `status.json` says so too."""
    known: dict[str, Any] = {"phase": "restoring"}
    tell(folder, **known)
    began = time.monotonic()
    Path(v.DATA).mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        said = _said(restore_command(stanza, environ))
        known |= {
            "phase": "recovering",
            "label": label_in(said),
            "copied_seconds": round(time.monotonic() - began, 3),
            "bytes": sum(path.stat().st_size for path in Path(v.DATA).rglob("*") if path.is_file()),
        }
        tell(folder, **known)
        config = _configuration(folder)
        settings = matched(_said([f"{v.BINARIES}/pg_controldata", v.DATA]))
    except (RemoteError, OSError) as error:
        tell(folder, **{**known, "phase": "failed", "problem": str(error)[:400]})
        raise
    _serve(folder, known, server_command(settings, config))


def _configuration(folder: Path) -> Path:
    (folder / "pg_hba.conf").write_text("local all postgres peer\n")
    (folder / "pg_ident.conf").write_text("")
    config = folder / "postgresql.conf"
    config.write_text("")
    return config


def _serve(folder: Path, known: dict[str, Any], command: Sequence[str]) -> None:
    began = time.monotonic()
    log = folder / "postgres.log"
    with (
        log.open("w", encoding="utf-8") as out,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT) as server,
    ):
        while server.poll() is None:
            reached = _reached()
            if reached is not None and known["phase"] != "ready":
                known |= {
                    "phase": "ready",
                    "recovered_seconds": round(time.monotonic() - began, 3),
                    "position": reached[0],
                    "moment": reached[1],
                }
                tell(folder, **known)
            time.sleep(0.2)
    wrong = [
        line for line in log.read_text(errors="replace").splitlines() if "FATAL" in line or "PANIC" in line
    ]
    problem = one_line(wrong[-1] if wrong else "") or f"PostgreSQL ended with status {server.returncode}"
    tell(folder, **{**known, "phase": "failed", "problem": problem})
    raise RemoteError(f"the restored database ended: {problem}")


def _reached() -> tuple[str, str] | None:
    """Position and time at which recovery has stopped; None before."""
    import psycopg

    from vitalops.backup.archiver import connect

    try:
        with connect(autocommit=True) as connection:
            row = connection.execute(
                "SELECT pg_get_wal_replay_pause_state() = 'paused', pg_last_wal_replay_lsn()::text,"
                " coalesce(to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC',"
                " 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), '')"
            ).fetchone()
    except psycopg.Error:
        return None
    return (str(row[1]), str(row[2])) if row[0] else None


def _said(command: Sequence[str]) -> str:
    """Output of a command. Raises RemoteError with its reason."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode:
        raise RemoteError(f"{Path(command[0]).name}: {one_line(done.stdout + done.stderr)}")
    return done.stdout
