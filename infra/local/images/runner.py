"""Runs the programs that images are made with, and says in one line why one failed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Protocol

from vitalops.errors import UsageError, VitalopsError


class ToolFailed(VitalopsError):
    """A program ended with an error. `said` is all that it wrote to stderr."""

    def __init__(self, argv: Sequence[str], code: int, said: str) -> None:
        self.argv = tuple(argv)
        self.code = code
        self.said = said
        super().__init__(f"{Path(argv[0]).name} failed with status {code}: {complaint(said)}")


def complaint(said: str) -> str:
    """The line that tells most: the first that names an error, as the others follow from it; else the last."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [
        line for line in lines if line.startswith(("E:", "error:", "Error:", "ctr:")) or " error: " in line
    ]
    return (errors[:1] or lines[-1:] or ["it gave no reason"])[0]


def missing(program: str) -> UsageError:
    name = Path(program).name
    packages = {"cc": "a C compiler (Debian: gcc libc6-dev)"}
    return UsageError(f"{name} is not installed", hint=f"install {packages.get(name, name)}")


class Runner(Protocol):
    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        feed: Callable[[BinaryIO], None] | None = None,
    ) -> str:
        """Run to the end and return stdout. `feed` writes the program's stdin. Raises ToolFailed."""
        ...


@dataclass(frozen=True, slots=True)
class SubprocessRunner:
    """Children are told to end when this process dies: an interrupted build leaves nothing running."""

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        feed: Callable[[BinaryIO], None] | None = None,
    ) -> str:
        if shutil.which(argv[0]) is None:
            raise missing(argv[0])
        setpriv = shutil.which("setpriv")
        command = [setpriv, "--pdeathsig", "TERM", "--", *argv] if setpriv else list(argv)
        process = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        said: list[bytes] = []
        failures: list[BaseException] = []
        assert process.stderr is not None
        assert process.stdout is not None
        complaints: IO[bytes] = process.stderr
        threads = [threading.Thread(target=lambda: said.append(complaints.read()))]
        if feed:
            threads.append(threading.Thread(target=_feed, args=(process, feed, failures)))
        with process:
            for thread in threads:
                thread.start()
            answer = process.stdout.read()
            code = process.wait()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]
        if code != 0:
            raise ToolFailed(argv, code, b"".join(said).decode(errors="replace"))
        return answer.decode(errors="replace")


def _feed(
    process: subprocess.Popen[bytes], feed: Callable[[BinaryIO], None], failures: list[BaseException]
) -> None:
    assert process.stdin is not None
    try:
        feed(process.stdin)  # pyright: ignore[reportArgumentType]  # IO[bytes] is what BinaryIO is
    except BrokenPipeError:
        pass  # the program gave up; its exit status says so
    except BaseException as error:  # raised again by the thread that waits
        failures.append(error)
    finally:
        # The program must see the end of its input, whatever happened, or it waits for ever.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def uv_program() -> str:
    """uv of this interpreter's environment, else of PATH."""
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("uv")
    if found is None:
        raise UsageError("uv is not installed", hint="run `make setup`, or pip install uv")
    return found
