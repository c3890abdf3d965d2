"""pgBackRest as a process. Keys are in its configuration file alone: never on a command line, never in a log."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

from vitalops.backup.repository import MARK, Repository, parse
from vitalops.errors import RemoteError

MISMATCH: Final = 28
"""pgBackRest's status where a stanza belongs to another database."""
_TAIL: Final = 400
INFO_SECONDS: Final = 25.0


class Failed(RemoteError):
    """A command of pgBackRest ended with `status`; the message is the last that it said."""

    def __init__(self, command: str, status: int, said: str) -> None:
        super().__init__(f"pgbackrest {command}: {one_line(said) or f'status {status}'}")
        self.status = status


class BackRest(Protocol):
    """The commands that are used. Each raises Failed."""

    def info(self) -> Repository: ...
    def create(self) -> None: ...
    def upgrade(self) -> None: ...
    def backup(self, kind: str, mark: str) -> None: ...
    def expire(self) -> None: ...


class Process:
    """pgBackRest of one stanza."""

    def __init__(self, stanza: str, config: str, program: str = "pgbackrest") -> None:
        self._stanza = stanza
        self._start = (program, f"--config={config}", f"--stanza={stanza}")

    def info(self) -> Repository:
        """Raises Failed, or RemoteError for an answer that cannot be read."""
        # Asked while somebody waits: a server that does not answer is told of soon.
        text = self._run("info", ("--output=json", "--io-timeout=4"), INFO_SECONDS)
        try:
            return parse(text, self._stanza)
        except (ValueError, KeyError, TypeError) as error:
            raise RemoteError(
                f"pgbackrest info: its answer cannot be read ({type(error).__name__})"
            ) from None

    def create(self) -> None:
        self._run("stanza-create", (), 120.0)

    def upgrade(self) -> None:
        self._run("stanza-upgrade", (), 120.0)

    def backup(self, kind: str, mark: str) -> None:
        annotation = (f"--annotation={MARK}={mark}",) if mark else ()
        self._run("backup", (f"--type={kind}", *annotation), None)

    def expire(self) -> None:
        self._run("expire", (), 600.0)

    def _run(self, command: str, options: Sequence[str], seconds: float | None) -> str:
        arguments = [*self._start, *options, command]
        with subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if command != "info" else subprocess.PIPE,
            text=True,
            start_new_session=True,  # its workers end with it
        ) as process:
            try:
                said, errors = process.communicate(timeout=seconds)
            except BaseException as error:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                process.communicate()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise Failed(command, -1, f"no end after {seconds:g} s") from None
                raise
        if process.returncode != 0:
            raise Failed(command, process.returncode, errors or said)
        return said


def one_line(said: str) -> str:
    """The reason in what pgBackRest printed: its first error, without time and process."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    wrong = [line.partition("ERROR:")[2].strip() for line in lines if "ERROR:" in line]
    chosen = wrong or lines[-1:]
    return " ".join(chosen)[:_TAIL]
