"""The witness as a process of this machine that outlives the terminal, and is found again by any later command."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vitalops.errors import RemoteError

READY_SECONDS = 60.0
STOP_SECONDS = 10.0
LOG_LIMIT = 5 * 1024 * 1024
# In the background, so that the process belongs to init from its first moment, whoever started it.
LAUNCHER = 'log=$1; shift; "$@" >> "$log" 2>&1 < /dev/null & echo $!'
MARK = "VITALOPS_WITNESS"
"""Variable of the process's environment by which it is recognised: the folder of its pair."""


@dataclass(frozen=True, slots=True)
class Background:
    """Everything about it is in `folder`."""

    pair: str
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "witness.log"

    @property
    def _pid_file(self) -> Path:
        return self.folder / "witness.pid"

    def pid(self) -> int | None:
        """The running process. A stale file, or a process id used again by another, is none."""
        try:
            pid = int(self._pid_file.read_text())
            # A dead child of this very process is gone, though its number is kept until somebody asks.
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if state not in "ZX" and f"{MARK}={self.folder}".encode() in variables else None

    def start(self, command: Sequence[str], ready: Callable[[], bool]) -> int:
        """Start it, and wait until it is `ready`. Returns its process id; does nothing where it runs.

        Raises RemoteError with its last words where it ends, or is not ready in time.
        """
        if (running := self.pid()) is not None:
            return running
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        launched = subprocess.run(
            ["/bin/sh", "-c", LAUNCHER, "sh", str(self.log), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, MARK: str(self.folder)},
            cwd="/",
            text=True,
            check=True,
        )
        pid = int(launched.stdout)
        temporary = self._pid_file.with_suffix(".new")
        temporary.write_text(f"{pid}\n")
        temporary.replace(self._pid_file)
        deadline = time.monotonic() + READY_SECONDS
        while not ready():
            if self.pid() is None:
                raise RemoteError(
                    f"the witness of {self.pair} ended: {self.last_words()}", hint=f"see {self.log}"
                )
            if time.monotonic() > deadline:
                raise RemoteError(
                    f"the witness of {self.pair} does not answer after {READY_SECONDS:.0f} s",
                    hint=f"see {self.log}",
                )
            time.sleep(0.1)
        return pid

    def stop(self) -> bool:
        """End it. Returns whether it ran."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            while self.pid() is not None:
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                    deadline += STOP_SECONDS
                time.sleep(0.05)
        self._pid_file.unlink(missing_ok=True)
        return pid is not None

    def last_words(self) -> str:
        """The last line of its log that is not blank."""
        try:
            lines = self.log.read_text(errors="replace")[-4096:].strip().splitlines()
        except OSError:
            lines = []
        return lines[-1][:300] if lines else "its log is empty"
