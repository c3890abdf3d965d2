"""What Prometheus reads from the container beside PostgreSQL. Pure but for the server."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from vitalops.backup.archiver import Archiver
from vitalops.backup.repository import Repository
from vitalops.backup.schedule import Kind

Sample = tuple[str, Mapping[str, str], float]

PRIMARY: Final = "vitalops_backup_primary"
"""1 where the database takes writes, so that backups are made here."""
REACHABLE: Final = "vitalops_backup_repository_reachable"
ENDED: Final = "vitalops_backup_last_ended_timestamp_seconds"
SECONDS: Final = "vitalops_backup_last_duration_seconds"
STORED: Final = "vitalops_backup_last_stored_bytes"
DATABASE: Final = "vitalops_backup_last_database_bytes"
KEPT: Final = "vitalops_backup_kept"
FAILURES: Final = "vitalops_backup_failures_total"
RUNNING: Final = "vitalops_backup_running"
WAITING: Final = "vitalops_archive_waiting_segments"
BEHIND: Final = "vitalops_archive_behind_seconds"
"""How long the oldest segment that is not archived has been waiting; 0 where none is."""
ARCHIVE_FAILURES: Final = "vitalops_archive_failures_total"
WAL: Final = "vitalops_wal_bytes"
STARTED: Final = "vitalops_backup_watching_since_timestamp_seconds"

HELP: Final[Mapping[str, str]] = {
    PRIMARY: "Whether backups are made here",
    REACHABLE: "Whether the repository of backups was reached when last asked",
    ENDED: "When the newest backup of a kind ended",
    SECONDS: "How long the newest backup of a kind took",
    STORED: "What the newest backup of a kind added to the repository",
    DATABASE: "Size of the database when the newest backup of a kind was made",
    KEPT: "Backups in the repository",
    FAILURES: "Backups that failed",
    RUNNING: "Whether a backup is being made",
    WAITING: "WAL segments that wait to be archived",
    BEHIND: "How long the oldest unarchived WAL segment has been waiting",
    ARCHIVE_FAILURES: "Attempts to archive that failed",
    WAL: "WAL on the database's disk",
    STARTED: "Since when this process has seen a primary",
}


@dataclass(frozen=True, slots=True)
class Watched:
    """What is known at present."""

    archiver: Archiver | None = None
    repository: Repository | None = None
    """As it was when it was last reached; None where nobody asked yet."""
    reachable: bool = False
    failures: int = 0
    running: bool = False
    primary_since: float = 0.0
    problem: str = field(default="")


def samples(watched: Watched, now: float) -> list[Sample]:
    """All series. A standby shows only that it is one: its region's backups are not made."""
    archiver = watched.archiver
    if archiver is None or not archiver.primary:
        return [(PRIMARY, {}, 0.0)]
    behind = max(now - archiver.waiting_since, 0.0) if archiver.waiting else 0.0
    made: list[Sample] = [
        (PRIMARY, {}, 1.0),
        (STARTED, {}, watched.primary_since),
        (REACHABLE, {}, float(watched.reachable)),
        (FAILURES, {}, float(watched.failures)),
        (RUNNING, {}, float(watched.running)),
        (WAITING, {}, float(archiver.waiting)),
        (BEHIND, {}, behind),
        (ARCHIVE_FAILURES, {}, float(archiver.failed)),
        (WAL, {}, float(archiver.wal_bytes)),
    ]
    backups = watched.repository.backups if watched.repository else ()
    for kind in Kind:
        of_kind = [held for held in backups if held.kind == kind]
        if not of_kind:
            continue
        last, labels = max(of_kind, key=lambda held: held.ended), {"kind": kind.value}
        made += [
            (ENDED, labels, last.ended),
            (SECONDS, labels, last.ended - last.started),
            (STORED, labels, float(last.stored_bytes)),
            (DATABASE, labels, float(last.database_bytes)),
            (KEPT, labels, float(len(of_kind))),
        ]
    return made


def exposition(given: Iterable[Sample]) -> str:
    """Prometheus' text format, version 0.0.4."""
    lines: list[str] = []
    by_name: dict[str, list[Sample]] = {}
    for sample in given:
        by_name.setdefault(sample[0], []).append(sample)
    for name, rows in by_name.items():
        lines += [f"# HELP {name} {HELP[name]}", f"# TYPE {name} {_kind(name)}"]
        for _, labels, value in rows:
            inside = ",".join(f'{key}="{text}"' for key, text in labels.items())
            lines.append(f"{name}{f'{{{inside}}}' if inside else ''} {value:.17g}")
    return "\n".join(lines) + "\n"


def _kind(name: str) -> str:
    return "counter" if name.endswith("_total") else "gauge"


def serve(port: int, page: Callable[[], str]) -> http.server.ThreadingHTTPServer:
    """GET /metrics on every address, in a thread of its own."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page().encode() if self.path == "/metrics" else b""
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
