"""Runs a call's test participants in a child process and tells what they saw. The other end of `media.py`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from vitalops.consultation.mode import CallMode
from vitalops.consultation.quality import Reception, StreamCount
from vitalops.consultation.walk import StepFailed

MEDIA_COMMAND = (sys.executable, "-m", "vitalops.consultation.media")
LEAVE_SECONDS = 5.0
LINE_LIMIT = 2**20
KEPT_VARIABLES = frozenset({"PATH", "HOME", "LANG", "TMPDIR"})


@dataclass(frozen=True, slots=True)
class Seat:
    """One participant's way in: a name for the report, the token that consultation handed out, and what the call may be
    by its word."""

    name: str
    token: str
    mode: CallMode = CallMode.VIDEO

    def __repr__(self) -> str:
        return f"Seat({self.name!r})"


class Call(Protocol):
    """A call as a walk sees it: begin, joined, flowing, measured, leave, in this order; close at any time."""

    async def begin(self, url: str, seats: Sequence[Seat], seconds: float) -> None: ...

    async def joined(self) -> dict[str, float]:
        """Seconds each participant needed to get into the room."""
        ...

    async def flowing(self) -> None:
        """Returns when every participant has decoded video and received audio."""
        ...

    async def measured(self) -> tuple[Reception, ...]:
        """What each participant received over the agreed time."""
        ...

    async def leave(self) -> None: ...

    async def close(self) -> None: ...


class ProcessCall:
    """A Call whose participants live in a child process that trusts only the authorities in `ca_file`."""

    def __init__(self, ca_file: Path, command: Sequence[str] = MEDIA_COMMAND) -> None:
        self._ca_file = ca_file
        self._command = tuple(command)
        self._process: asyncio.subprocess.Process | None = None
        self._seats: tuple[Seat, ...] = ()

    async def __aenter__(self) -> ProcessCall:
        await self.prepare()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def prepare(self) -> None:
        """Starts the process early, so that loading the native library takes no time from the call."""
        environment = {
            **{name: value for name, value in os.environ.items() if name in KEPT_VARIABLES},
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "SSL_CERT_FILE": str(self._ca_file),
            # Python's own warnings and the native library's log must not mix with the events.
            "RUST_LOG": "error",
        }
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            limit=LINE_LIMIT,
            start_new_session=True,
        )

    async def begin(self, url: str, seats: Sequence[Seat], seconds: float) -> None:
        await self._expect("ready")
        self._seats = tuple(seats)
        job = {
            "url": url,
            "seconds": seconds,
            "participants": [
                {"name": seat.name, "token": seat.token, "mode": seat.mode.value} for seat in seats
            ],
        }
        await self._tell(json.dumps(job))

    async def joined(self) -> dict[str, float]:
        seconds: dict[str, float] = {}
        for _ in self._seats:
            event = await self._expect("joined")
            seconds[event["who"]] = event["seconds"]
        return seconds

    async def flowing(self) -> None:
        await self._expect("flowing")

    async def measured(self) -> tuple[Reception, ...]:
        event = await self._expect("measured")
        return tuple(_reception(each) for each in event["receptions"])

    async def leave(self) -> None:
        await self._tell("stop")
        await self._expect("left")

    async def close(self) -> None:
        """Ends the process: asked first (its input closes), killed when it does not listen."""
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), LEAVE_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _tell(self, line: str) -> None:
        process = self._running()
        assert process.stdin is not None
        process.stdin.write(line.encode() + b"\n")
        await process.stdin.drain()

    async def _expect(self, event: str) -> dict[str, Any]:
        process = self._running()
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            raise StepFailed(
                f"the call's participants ended before '{event}': {await self._last_words(process)}"
            )
        message: dict[str, Any] = json.loads(line)
        if message["event"] == "failed":
            raise StepFailed(message["problem"])
        if message["event"] != event:
            raise StepFailed(f"the call's participants said '{message['event']}' where '{event}' was due")
        return message

    async def _last_words(self, process: asyncio.subprocess.Process) -> str:
        assert process.stderr is not None
        lines = (await process.stderr.read()).decode(errors="replace").strip().splitlines()
        status = await process.wait()
        return lines[-1] if lines else f"exit status {status}"

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise StepFailed("the call's participants were not started")
        return self._process


def _reception(fields: dict[str, Any]) -> Reception:
    streams = {kind: StreamCount(**fields[kind]) for kind in ("video", "audio")}
    others = {name: value for name, value in fields.items() if name not in streams}
    return Reception(video=streams["video"], audio=streams["audio"], **others)
