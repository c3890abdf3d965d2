"""What trials of failovers share: a witness, a ledger that is being written, and runbooks as users run them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from bench.measure import CommandFailed
from infra.local.regions.layout import Layout, layout
from vitalops.ledger.book import FOLDER, Contents, ledger_file, read
from vitalops.model.loader import load_platform
from vitalops.model.platform import FailoverPair, Platform
from vitalops.model.selection import resolve_pair
from vitalops.paths import Paths

ROOT = Path(__file__).resolve().parent.parent
VITALOPS = str(ROOT / ".venv/bin/vitalops")
APPROVER = "approver-of-trials"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Trial:
    """One pair of local regions that trials may harm."""

    platform: Platform
    pair: FailoverPair
    paths: Paths

    @staticmethod
    def of(name: str | None = None) -> Trial:
        platform = load_platform(ROOT / "platform.yaml", datetime.now(UTC).date())
        return Trial(platform, resolve_pair(platform, name), Paths.from_environment())

    @property
    def ledgers(self) -> Path:
        return self.paths.operations(self.platform.name) / FOLDER

    def region(self, name: str) -> Layout:
        return layout(self.platform, name, self.paths)

    def other(self, region: str) -> str:
        return self.pair.standby if region == self.pair.primary else self.pair.primary

    def witness(self) -> dict[str, Any]:
        return asked("witness", "status", "--pair", self.pair.name, expected=(0, 1))

    @property
    def active(self) -> str:
        """As the witness knows from the guards."""
        return str(self.witness()["active"])

    @contextmanager
    def watched(self, mode: str) -> Iterator[None]:
        """A witness in `mode`; the one that ran before, if any, is replaced, and none is left behind."""
        vitalops("witness", "stop", "--pair", self.pair.name)
        vitalops("witness", "start", "--pair", self.pair.name, "--mode", mode)
        try:
            until(
                lambda: self.witness()["state"] == "healthy" or None, 60, "the witness sees a healthy region"
            )
            yield
        finally:
            vitalops("witness", "stop", "--pair", self.pair.name)

    @contextmanager
    def written(self, *, visitors: int = 2) -> Iterator[Ledger]:
        """A ledger that is being written inside the block."""
        name = f"trial-{int(time.time() * 1000)}"
        options = ["--pair", self.pair.name, "--name", name, "--visitors", str(visitors)]
        process = subprocess.Popen(
            [VITALOPS, "ledger", "run", "--until-enter", "--no-check", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        ledger = Ledger(self, name, process)
        try:
            ledger.until(lambda contents: len(contents.entries) >= 10 or None, 180, "writing has begun")
            yield ledger
        finally:
            ledger.stop()

    def open_runs(self) -> list[dict[str, Any]]:
        listed = asked("runbook", "history", "--open")
        return [run for run in listed if f"pair/{self.pair.name}" in run["targets"]]

    def until_quiet(self, seconds: float = 900) -> None:
        """Until no run of the pair goes on."""
        until(lambda: not self.open_runs() or None, seconds, "no run goes on")

    def operate(self, runbook: str, *options: str) -> str:
        """Run what disrupts, approved by somebody else. Returns the run's id."""
        asked_for = asked("--yes", "runbook", "run", runbook, *options, expected=(0, 1))
        run = str(asked_for["id"])
        if asked_for["state"] == "waiting":
            asked("runbook", "approve", run, "--as", APPROVER, seconds=1200)
        return run

    def report(self, ledger: str, *, run: str = "", loss_at: float | None = None) -> dict[str, Any]:
        """As `vitalops failover report` has it. The ledger is read back."""
        options = ["--pair", self.pair.name, "--ledger", ledger]
        options += ["--loss-at", f"{loss_at:.3f}"] if loss_at is not None else []
        return asked("failover", "report", *([run] if run else []), *options, expected=(0, 1))


@dataclass(frozen=True, slots=True)
class Ledger:
    trial: Trial
    name: str
    process: subprocess.Popen[str]

    def contents(self) -> Contents:
        return read(self.trial.ledgers, self.name)

    def until(self, seen: Callable[[Contents], T | None], seconds: float, what: str) -> T:
        """Looks into the file until `seen` says something. Raises CommandFailed after `seconds`."""

        def look() -> T | None:
            if self.process.poll() is not None:
                assert self.process.stderr is not None
                raise CommandFailed(f"the ledger's writer ended: {self.process.stderr.read()[-500:]}")
            return seen(self.contents()) if ledger_file(self.trial.ledgers, self.name).exists() else None

        return until(look, seconds, what)

    def stop(self) -> None:
        if self.process.poll() is None:
            assert self.process.stdin is not None
            self.process.stdin.close()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def first_write_after(self, moment: float, region: str) -> float | None:
        """When `region` acknowledged the first write that was sent after `moment`: the other one's last answers may
        still be on their way."""
        writes = [each for each in self.contents().entries if each.acknowledged_try >= moment]
        return min((each.ended for each in writes if each.region == region), default=None)

    def first_visit_after(self, moment: float) -> float | None:
        """When the first good consultation that began after `moment` ended."""
        ended = [each.ended for each in self.contents().visits if each.passed and each.started >= moment]
        return min(ended, default=None)

    def check(self) -> dict[str, Any]:
        return asked("ledger", "check", self.name, expected=(0, 1))


def end_cleanly() -> None:
    """A trial that is told to end takes its faults back first."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def until(seen: Callable[[], T | None], seconds: float, what: str, pause: float = 0.2) -> T:
    """The first thing that `seen` says which is not None. Raises CommandFailed after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = seen()
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise CommandFailed(f"not within {seconds:g} s: {what}")
        time.sleep(pause)


def vitalops(*arguments: str, seconds: float = 900, expected: tuple[int, ...] = (0,)) -> str:
    """Standard output of the command, as a user runs it. Raises CommandFailed on any other exit status."""
    command = [VITALOPS, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode not in expected:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise CommandFailed(f"{' '.join(command)} exited with {done.returncode}:\n{tail}")
    return done.stdout


def asked(*arguments: str, seconds: float = 900, expected: tuple[int, ...] = (0,)) -> Any:
    """The same, read as JSON."""
    return json.loads(vitalops("--output", "json", *arguments, seconds=seconds, expected=expected))
