"""The loop that looks along every line at once. One that hangs delays none of the others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from vitalops.detection.sights import Vantage
from vitalops.errors import VitalopsError
from vitalops.fencing.report import GuardReport
from vitalops.ports.clock import Clock
from vitalops.vantage.probe import Judge, Probe

ATTEMPT_SECONDS = 2.5
"""An answer that takes longer is none. Attempts overlap: a slow network delays answers, and does not thin them out."""


class Listener(Protocol):
    """Told of everything as it happens, in the event loop's thread. Times are the clock's monotonic seconds."""

    def trying(self, vantage: Vantage, at: float) -> None: ...

    def hearing(self, vantage: Vantage, at: float, report: GuardReport | None) -> None: ...

    def ruling(self, judge: str, at: float, seen: Mapping[str, bool]) -> None: ...


@dataclass(frozen=True, slots=True)
class Poller:
    """`run` looks every `interval` seconds until it is cancelled."""

    probes: Sequence[Probe]
    judges: Sequence[Judge]
    listener: Listener
    clock: Clock
    interval: float = 0.5
    attempt_seconds: float = ATTEMPT_SECONDS

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for probe in self.probes:
                    group.create_task(self._look_along(probe))
                for judge in self.judges:
                    group.create_task(self._ask(judge))
        finally:
            for probe in self.probes:
                with contextlib.suppress(Exception):
                    await probe.aclose()

    async def _look_along(self, probe: Probe) -> None:
        pending: set[asyncio.Task[None]] = set()
        try:
            while True:
                self.listener.trying(probe.vantage, self.clock.monotonic())
                look = asyncio.create_task(self._look(probe))
                pending.add(look)
                look.add_done_callback(pending.discard)
                await asyncio.sleep(self.interval)
        finally:
            for look in tuple(pending):
                look.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _look(self, probe: Probe) -> None:
        try:
            async with asyncio.timeout(self.attempt_seconds):
                answer = await probe.look()
        except TimeoutError:
            return
        if answer is not None:
            self.listener.hearing(probe.vantage, self.clock.monotonic(), answer.report)

    async def _ask(self, judge: Judge) -> None:
        """One at a time: a thread that hangs leaves the judge without a word, and that is what it is then."""
        while True:
            with contextlib.suppress(VitalopsError, OSError):
                seen = await asyncio.to_thread(judge.sees)
                self.listener.ruling(judge.name, self.clock.monotonic(), seen)
            await asyncio.sleep(self.interval)
