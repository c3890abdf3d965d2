"""python -m tests.cluster.oncall.receiver FOLDER PORT: the real receiver and engine, on a platform in memory.

Two runbooks: `mark-it`, which alerts start, and `disturb-it`, which waits for a person. Each step leaves a line in the
file `effects` of the folder, after a while, so that there is time to be killed in.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runbooks.engine.database import SqliteDatabase
from runbooks.engine.local import open_engine
from runbooks.engine.model import (
    AlertBinding,
    Output,
    Parameters,
    Risk,
    Runbook,
    Step,
    StepContext,
    Target,
    Verdict,
)
from runbooks.serve.server import DATABASE, WEBHOOK_TOKEN, Listen, Surroundings, serve
from runbooks.serve.store import IncidentStore
from vitalops import conventions as c
from vitalops.errors import UsageError
from vitalops.evidence.files import FileJournal
from vitalops.model.loader import load_platform
from vitalops.model.platform import Platform
from vitalops.paths import Paths
from vitalops.pki.authority import CertificateAuthority
from vitalops.ports.clock import SystemClock
from vitalops.ports.fakes import FakeRunning
from vitalops.secretstore import FileSecretStore

ROOT = Path(__file__).resolve().parents[3]
PAIR = "france"
TOKEN = "a-token-of-the-tests-alone"
STARTS, ASKS = "Marked", "Disturbed"
STEP_SECONDS = 0.3


class What(Parameters):
    service: str
    """That is acted on."""


def _what(labels: Mapping[str, str], platform: Platform) -> What:
    del platform
    return What(service=labels[c.METRIC_SERVICE])


def _effects() -> Path:
    return Path(os.environ["EFFECTS"])


def _line(context: StepContext[What], step: str) -> str:
    return f"{context.facts.run} {step}"


def effects(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def _step(name: str) -> Step[What]:
    def check(context: StepContext[What]) -> Verdict:
        done = _line(context, name) in effects(_effects())
        return Verdict.done("it is marked") if done else Verdict.due("it is to be marked")

    def apply(context: StepContext[What]) -> Output:
        time.sleep(STEP_SECONDS)
        with _effects().open("a") as file:
            file.write(f"{_line(context, name)}\n")
        return {"marked": name}

    return Step(name, f"Marks {name}.", 30.0, check, apply, lasting="a mark stays")


def runbook(name: str, risk: Risk, alert: str) -> Runbook[What]:
    return Runbook(
        name=name,
        summary=f"{alert} is answered.",
        description="",
        risk=risk,
        parameters=What,
        example="",
        targets=lambda parameters, platform: (Target("service", parameters.service),),
        steps=tuple(_step(step) for step in ("first", "second", "third")),
        regions=lambda parameters, platform: (),
        answers=(AlertBinding(alert, _what, starts=True),),
    )


RUNBOOKS = {
    "mark-it": runbook("mark-it", Risk.CHANGES, STARTS),
    "disturb-it": runbook("disturb-it", Risk.DISRUPTS, ASKS),
}


def find(name: str) -> Runbook[Any]:
    if name not in RUNBOOKS:
        raise UsageError(f"there is no runbook {name!r}")
    return RUNBOOKS[name]


def authority(folder: Path) -> CertificateAuthority:
    """The same one each time."""
    store = FileSecretStore(folder / "authority")
    made = CertificateAuthority.create("vitalops tests")
    text = store.get_or_create("authority", lambda: f"{made.certificate_pem}\0{made.key_pem}")
    return CertificateAuthority.load(*text.split("\0"))


def secrets(folder: Path) -> FileSecretStore:
    return FileSecretStore(paths(folder).secrets("vitalops"))


def paths(folder: Path) -> Paths:
    return Paths(folder / "cache", folder / "state", folder / "run")


def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    platform = load_platform(ROOT / "platform.yaml", datetime.now(UTC).date())
    store, where, clock = secrets(folder), paths(folder), SystemClock()
    running = FakeRunning(platform)
    running.clock = clock  # type: ignore[assignment]  # in earnest: approvals expire, and steps take their time
    with open_engine(running, where, find=find) as engine:
        operations = where.operations(platform.name)
        around = Surroundings(
            platform,
            operations,
            IncidentStore(SqliteDatabase(operations / DATABASE)),
            engine,
            tuple(RUNBOOKS.values()),
            FileJournal(where.journal(platform.name), clock=clock, secrets=store),
            store,
            clock,
        )
        serve(
            around,
            Listen("127.0.0.1", port),
            authority(folder),
            lambda url: print(url, flush=True),
            _complain,
        )


def _complain(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Receiver:
    """The process, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        secrets(folder).replace(f"{PAIR}/{WEBHOOK_TOKEN}", TOKEN)
        self.ca_file = folder / "ca.crt"
        self.ca_file.write_text(authority(folder).certificate_pem)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self._process = self._start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def effects(self) -> Path:
        return self.folder / "effects"

    @property
    def journal(self) -> FileJournal:
        return FileJournal(paths(self.folder).journal("vitalops"))

    def again(self) -> None:
        """Kill it with -9, and start it anew."""
        self._process.send_signal(signal.SIGKILL)
        self._wait()
        self._process = self._start()

    def stop(self) -> int:
        self._process.terminate()
        return self._wait()

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.cluster.oncall.receiver", str(self.folder), str(self.port)]
        environment = {**os.environ, "EFFECTS": str(self.effects)}
        log = self.folder / "receiver.log"
        with log.open("ab") as errors:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        assert process.stdout is not None
        assert process.stdout.readline(), log.read_text()[-3000:]
        return process

    def _wait(self) -> int:
        try:
            status = self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        return status


@contextmanager
def receiving(folder: Path) -> Iterator[Receiver]:
    found = Receiver(folder)
    try:
        yield found
    finally:
        found.stop()


if __name__ == "__main__":
    main()
