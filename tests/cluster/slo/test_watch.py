"""`vitalops watch` on a pseudo-terminal, over a real Prometheus that dies while it is looked at."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.tsdb import Served, prometheus
from tests.cluster.conftest import ROOT, VITALOPS
from tests.cluster.slo.test_status import FR_PAR, history_of

LEAVE = "\x1b[?1049l"
CLEAR = "\x1b[2J"
SECONDS = 60
"""Waited for anything to appear: the machine may be busy."""


class Session:
    """A process on a terminal of its own, and all that it wrote there."""

    def __init__(self, arguments: list[str], environment: dict[str, str], columns: int, lines: int) -> None:
        self.master, self._slave = pty.openpty()
        self.resize(columns, lines)
        self.before = termios.tcgetattr(self._slave)
        self.written = ""
        self.process = subprocess.Popen(
            arguments,
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env=environment,
            cwd=ROOT,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def resize(self, columns: int, lines: int) -> None:
        """The kernel tells the process by SIGWINCH."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def read(self, seconds: float) -> str:
        """What is written within `seconds`."""
        made, end = "", time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([self.master], [], [], left)
            if ready:
                made += os.read(self.master, 65_536).decode("utf-8", "replace")
        self.written += made
        return made

    def until(self, words: str, seconds: float = SECONDS) -> str:
        """Reads until `words` were written from here on; fails where they are not."""
        made, end = "", time.monotonic() + seconds
        while words not in made:
            if time.monotonic() > end:
                pytest.fail(f"{words!r} did not appear; last: {made[-2000:]!r}")
            made += self.read(0.2)
        return made

    def ended(self) -> int:
        end = time.monotonic() + SECONDS
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.1)
        self.read(0.1)
        assert self.process.returncode is not None
        return self.process.returncode

    @property
    def restored(self) -> bool:
        """Whether the screen that was there is shown again, with a cursor, and keys are read as they were."""
        end = self.written.rindex(LEAVE) if LEAVE in self.written else -1
        return (
            end > self.written.rindex("\x1b[?1049h")
            and "\x1b[?25h" in self.written[end - 10 :]
            and termios.tcgetattr(self._slave) == self.before
        )

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=10)
        os.close(self.master)
        os.close(self._slave)


@contextmanager
def watching(served: Served, state: Path, columns: int = 80, lines: int = 24) -> Iterator[Session]:
    """The dashboard over one Prometheus; the clusters of this machine, if there are any, are not its own."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(state),
        "TERM": "xterm-256color",
        "VITALOPS_STATE": str(state / "state"),
    }
    arguments = [str(VITALOPS), "watch", "--region", "fr-par", "--interval", "1"]
    session = Session([*arguments, "--prometheus", f"fr-par={served.url}"], environment, columns, lines)
    try:
        yield session
    finally:
        session.close()


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory, histories: None) -> Path:
    return history_of(tmp_path_factory.mktemp("watched") / "data", "fr-par", FR_PAR)


def test_keys_resizing_and_a_source_that_dies(history: Path, tmp_path: Path) -> None:
    with prometheus(history) as served, watching(served, tmp_path) as session:
        session.until("audit")
        session.until("UTC")

        session.resize(140, 40)
        wider = session.until("OBJECTIVE")
        assert CLEAR in wider

        session.type("p")
        session.until("PAUSED")
        assert "UTC" not in session.read(2.5), "a paused screen stands still"
        session.type("p")
        session.until("UTC")

        session.type("?")
        session.until("quit")
        session.type("?1")
        session.until("only fr-par")
        session.type("\t")

        served.stop()
        session.until("unreachable since ")
        later = session.read(3.5)
        assert len(re.findall(r"\d\d:\d\d:\d\d UTC", later)) >= 3, "the rest of the screen goes on"

        session.type("q")
        assert session.ended() == 0
        assert session.restored


def test_a_source_that_hangs_and_comes_back(history: Path, tmp_path: Path) -> None:
    with prometheus(history) as served, watching(served, tmp_path) as session:
        session.until("audit")
        served.process.send_signal(signal.SIGSTOP)
        try:
            session.until("unreachable since ")
            later = session.read(3.5)
            assert len(re.findall(r"\d\d:\d\d:\d\d UTC", later)) >= 3, "the rest of the screen goes on"
        finally:
            served.process.send_signal(signal.SIGCONT)
        session.until("no API")
        session.type("q")
        assert session.ended() == 0


def test_a_quiet_screen_costs_a_slow_line_little(history: Path, tmp_path: Path) -> None:
    with prometheus(history) as served, watching(served, tmp_path) as session:
        session.until("audit")
        session.read(3)
        written = len(session.read(10))
        assert written < 10 * 1000, f"{written} bytes in ten seconds"
        session.type("q")
        assert session.ended() == 0


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 0)]
)
def test_signals_give_the_terminal_back(
    history: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    with prometheus(history) as served, watching(served, tmp_path) as session:
        session.until("REGION")
        session.process.send_signal(number)
        assert session.ended() == status
        assert session.restored


def test_suspended_and_continued(history: Path, tmp_path: Path) -> None:
    with prometheus(history) as served, watching(served, tmp_path) as session:
        session.until("REGION")
        session.type("\x1a")
        session.until(LEAVE)
        session.process.send_signal(signal.SIGCONT)
        session.until("REGION")
        session.type("q")
        assert session.ended() == 0
        assert session.restored


def test_once_in_a_pipe(history: Path, tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "VITALOPS_STATE": str(tmp_path)}
    with prometheus(history) as served:
        arguments = [str(VITALOPS), "watch", "--region", "fr-par", "--prometheus", served.url, "--once"]
        done = subprocess.run(
            arguments, capture_output=True, text=True, check=False, env=environment, cwd=ROOT
        )
    assert done.returncode == 3, "the cluster was not reached"
    assert "\x1b" not in done.stdout
    assert "BUDGETS fr-par" in done.stdout
    assert re.search(r"BURNING +audit +answered", done.stdout)


def test_a_screen_needs_a_terminal() -> None:
    done = subprocess.run([str(VITALOPS), "watch"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert "--once" in done.stderr
