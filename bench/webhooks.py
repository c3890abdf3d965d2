"""python -m bench.webhooks [--runs N]: 10,000 alerts as fast as they are taken, the receiver killed twice meanwhile.

The real receiver in a process of its own, its store on disk, and a sender that behaves as Alertmanager does: groups of
five alerts, several connections, and every message again until it is acknowledged. What acts is a stand-in that counts,
keeping its count on disk as the engine does.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import queue
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.measure import Figure
from runbooks.engine.database import SqliteDatabase
from runbooks.engine.model import AlertBinding, Parameters, Risk, Runbook
from runbooks.engine.plan import Plan
from runbooks.engine.runs import Run, RunState
from runbooks.serve.server import DATABASE, WEBHOOK_TOKEN, Listen, Surroundings, serve
from runbooks.serve.store import IncidentStore
from runbooks.serve.web import WEBHOOK_PATH
from vitalops import conventions as c
from vitalops.evidence.files import FileJournal
from vitalops.model.loader import load_platform
from vitalops.model.platform import Platform
from vitalops.ports.clock import SystemClock
from vitalops.ports.progress import Progress
from vitalops.secretstore import FileSecretStore

ROOT = Path(__file__).resolve().parent.parent
PAIR: Final = "france"
ALERT: Final = "StormOfAlerts"
RUNBOOK: Final = "count-alerts"
ALERTS: Final = 10_000
GROUP: Final = 5
"""Alerts of one message."""
PROMISED_SECONDS: Final = 60.0
CONNECTIONS: Final = 16
BACK_OFF_SECONDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
STARTED: Final = datetime(2026, 1, 1, tzinfo=UTC)


class Counted(Parameters):
    number: int
    """Of the alert."""


def _parameters(labels: Mapping[str, str], platform: Platform) -> Counted:
    del platform
    return Counted(number=int(labels["number"]))


COUNTING: Final = Runbook(
    name=RUNBOOK,
    summary="An alert is counted.",
    description="For the benchmark of the receiver.",
    risk=Risk.READS,
    parameters=Counted,
    example="",
    targets=lambda parameters, platform: (),
    steps=(),
    regions=lambda parameters, platform: (),
    answers=(AlertBinding(ALERT, _parameters, starts=True),),
)


class CountingOperations:
    """Stands in for the engine: a key that was asked for before gives the run of the first time. Kept on disk."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._connection = sqlite3.connect(file, check_same_thread=False, isolation_level=None, timeout=30)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS effects (number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT, alert INTEGER)"
        )
        self._connection.execute("CREATE TABLE IF NOT EXISTS asked (key TEXT PRIMARY KEY, times INTEGER)")

    def start(
        self,
        runbook: Runbook[Any],
        parameters: Parameters,
        *,
        requester: str,
        reason: str = "",
        **options: Any,
    ) -> Run:
        assert isinstance(parameters, Counted)
        key: str = options["key"]
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        execute("INSERT INTO asked VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET times = times + 1", (key,))
        if execute("SELECT times FROM asked WHERE key = ?", (key,)).fetchone()[0] == 1:
            execute("INSERT INTO effects (key, alert) VALUES (?, ?)", (key, parameters.number))
        execute("COMMIT")
        values = parameters.model_dump()
        state = RunState.SUCCEEDED
        return Run(key, runbook.name, values, (), (), (), requester, reason, state, time.time(), key=key)

    def runs(self, *, runbook: str = "", open_only: bool = False, limit: int = 100) -> tuple[Run, ...]:
        del runbook, open_only, limit
        return ()

    def run(self, run: str) -> Run:
        raise NotImplementedError(run)

    approve = reject = resume = wait = run

    def plan(self, runbook: Runbook[Any], parameters: Parameters, progress: Progress | None = None) -> Plan:
        raise NotImplementedError


def receive(folder: Path, port: int) -> None:
    """The receiver's process."""
    platform = load_platform(ROOT / "platform.yaml", datetime.now(UTC).date())
    clock, secrets = SystemClock(), FileSecretStore(folder / "secrets")
    around = Surroundings(
        platform,
        folder,
        IncidentStore(SqliteDatabase(folder / DATABASE)),
        CountingOperations(folder / "effects.sqlite"),  # type: ignore[arg-type]
        (COUNTING,),
        FileJournal(folder / "journal.jsonl", clock=clock, secrets=secrets),
        secrets,
        clock,
    )
    serve(around, Listen("127.0.0.1", port), None, lambda url: print(url, flush=True), _complain)


def _complain(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def message(first: int) -> bytes:
    """A group of firing alerts from number `first` on, as Alertmanager posts it."""
    alerts = [_alert(number) for number in range(first, first + GROUP)]
    group = {"groupKey": f"{{}}:{{first={first}}}", "truncatedAlerts": 0, "groupLabels": {"alertname": ALERT}}
    body = {"version": "4", "status": "firing", "receiver": "on-call", "alerts": alerts, **group}
    common = {"commonLabels": {"alertname": ALERT}, "commonAnnotations": {}, "externalURL": ""}
    return json.dumps({**body, **common}).encode()


def _alert(number: int) -> dict[str, Any]:
    return {
        "status": "firing",
        "labels": {
            "alertname": ALERT,
            "number": str(number),
            c.METRIC_REGION: "fr-par",
            c.METRIC_SEVERITY: c.SEVERITY_TICKET,
        },
        "annotations": {"summary": f"alert {number} of many"},
        "startsAt": STARTED.isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph",
        "fingerprint": f"{number:016x}",
    }


@dataclass(slots=True)
class Sender:
    """Sends every message until it is acknowledged, as Alertmanager does: 5xx and no answer are tried again."""

    port: int
    token: str
    acknowledged: int = 0
    """Alerts."""
    tries: int = 0
    dropped: list[int] = field(default_factory=list[int])
    """Statuses for which Alertmanager would not try again."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, count: int, connections: int = CONNECTIONS) -> float:
        """Seconds until everything was acknowledged."""
        work: queue.Queue[int] = queue.Queue()
        for first in range(0, count, GROUP):
            work.put(first)
        threads = [threading.Thread(target=self._work, args=(work,), daemon=True) for _ in range(connections)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.monotonic() - began

    def _work(self, work: queue.Queue[int]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        while True:
            try:
                first = work.get_nowait()
            except queue.Empty:
                connection.close()
                return
            self._until_acknowledged(connection, message(first))

    def _until_acknowledged(self, connection: http.client.HTTPConnection, body: bytes) -> None:
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.token}"}
        attempt = 0
        while True:
            status = 0
            try:
                connection.request("POST", WEBHOOK_PATH, body, headers)
                answer = connection.getresponse()
                answer.read()
                status = answer.status
            except (OSError, http.client.HTTPException):
                connection.close()
            with self._lock:
                self.tries += 1
                if status == 200:
                    self.acknowledged += GROUP
                    return
                if 400 <= status < 500:
                    self.dropped.append(status)
                    return
            time.sleep(BACK_OFF_SECONDS[min(attempt, len(BACK_OFF_SECONDS) - 1)])
            attempt += 1


@dataclass(slots=True)
class Process:
    """The receiver as a process that can be killed and started again, on the same folder and port."""

    folder: Path
    port: int
    running: subprocess.Popen[str]

    @staticmethod
    def start(folder: Path, port: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "bench.webhooks", "--receive", str(folder), str(port)]
        with (folder / "receiver.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        if not process.stdout.readline():
            raise RuntimeError((folder / "receiver.log").read_text()[-2000:])
        return process

    def kill(self) -> None:
        self.running.send_signal(signal.SIGKILL)
        self.running.wait()
        assert self.running.stdout is not None
        self.running.stdout.close()

    def again(self) -> None:
        self.kill()
        self.running = self.start(self.folder, self.port)


@contextmanager
def receiver(folder: Path) -> Iterator[tuple[Process, Sender]]:
    """A receiver and its sender. The receiver is stopped in order at the end."""
    token = "a-token-of-the-benchmark-alone"
    FileSecretStore(folder / "secrets").replace(f"{PAIR}/{WEBHOOK_TOKEN}", token)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    process = Process(folder, port, Process.start(folder, port))
    try:
        yield process, Sender(port, token)
    finally:
        process.running.terminate()
        try:
            process.running.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.running.kill()
            process.running.wait()
        assert process.running.stdout is not None
        process.running.stdout.close()


@dataclass(frozen=True, slots=True)
class Storm:
    """What became of a storm. Seconds until all were acknowledged, and until all were acted on."""

    stored: float
    acted: float
    tries: int
    dropped: int


def storm(folder: Path, count: int = ALERTS, kills: int = 2) -> Storm:
    """Sends `count` alerts, killing the receiver `kills` times, and waits until everything was acted on and recorded.

    Raises TimeoutError where that does not happen.
    """
    began = time.monotonic()
    with receiver(folder) as (process, sender):
        killer = threading.Thread(target=_kill_now_and_then, args=(process, sender, count, kills))
        began = time.monotonic()
        killer.start()
        stored = sender.send(count)
        killer.join()
        deadline = time.monotonic() + 120
        while left := unfinished(folder):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{left} incidents are not acted on or not in the journal")
            time.sleep(0.2)
        acted = time.monotonic() - began
    return Storm(stored, acted, sender.tries, len(sender.dropped))


def _kill_now_and_then(process: Process, sender: Sender, count: int, kills: int) -> None:
    for kill in range(1, kills + 1):
        while sender.acknowledged < count * kill // (kills + 1):
            time.sleep(0.01)
        process.again()


def unfinished(folder: Path) -> int:
    """Incidents that nothing was done about, and records that are not in the journal yet."""
    with sqlite3.connect(f"file:{folder / DATABASE}?mode=ro", uri=True, timeout=30) as connection:
        waiting = connection.execute(
            "SELECT COUNT(*) FROM vitalops_incidents WHERE state = 'received'"
        ).fetchone()
        unsaid = connection.execute("SELECT COUNT(*) FROM vitalops_outbox").fetchone()
    connection.close()
    return int(waiting[0]) + int(unsaid[0])


def figures(runs: int) -> tuple[Figure, ...]:
    storms: list[Storm] = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="vitalops-bench-") as folder:
            storms.append(storm(Path(folder)))
    return (
        Figure(
            "10,000 alerts stored, receiver killed twice",
            "s",
            PROMISED_SECONDS,
            tuple(each.stored for each in storms),
        ),
        Figure(
            "10,000 alerts acted on, receiver killed twice",
            "s",
            PROMISED_SECONDS,
            tuple(each.acted for each in storms),
        ),
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.webhooks", description=__doc__)
    parser.add_argument("--runs", type=int, default=1, help="storms (default 1)")
    parser.add_argument("--receive", nargs=2, metavar=("FOLDER", "PORT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.receive:
        receive(Path(options.receive[0]), int(options.receive[1]))
        return 0
    measured = figures(max(options.runs, 1))
    for figure in measured:
        print(figure.record())
    return 0 if all(figure.holds for figure in measured) else 1


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
