"""One synthetic consultation, start to end, and what is said about it."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from vitalops.consultation.call import Call, ProcessCall
from vitalops.consultation.http import Edge
from vitalops.consultation.state import Walk
from vitalops.consultation.walk import Outcome, WalkResult, run
from vitalops.conventions import HEADER_SYNTHETIC, PROBER_CLIENT
from vitalops.prober.regulars import Regulars
from vitalops.prober.steps import CALL_SECONDS, probe_steps, tidy_up

WALK_SECONDS: Final = 60.0
"""After this a walk is given up, however far it came."""
TIDY_SECONDS: Final = 5.0
UNFINISHED: Final = "all of it, in time"
"""What failed when a walk was given up; not the name of a step."""
BROKEN: Final = "the prober itself"

_NAMES_SOMETHING = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|[^\s@]+@[^\s@]+")


@dataclass(frozen=True, slots=True)
class Target:
    """A platform as the prober reaches it."""

    url: str
    """The pair's public one."""
    ca_file: Path
    client_secret: str = field(repr=False)
    client: str = PROBER_CLIENT
    """The client of identity that enrols the prober's practitioner."""
    via: str = ""
    """Where it is reached from here: inside a region, its own gateway."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """`failed_step` and `problem` are empty where the walk passed. Holds no identifiers of anybody."""

    started: datetime
    outcome: Outcome
    failed_step: str
    problem: str
    seconds: float
    trace_id: str
    steps: tuple[tuple[str, float], ...]
    """Name and seconds of the steps that were tried."""

    @property
    def passed(self) -> bool:
        return self.outcome is Outcome.PASSED


def masked(problem: str) -> str:
    """The text without pseudonyms and addresses, fit for a log."""
    return _NAMES_SOMETHING.sub(":id", problem)


def summarised(result: WalkResult, started: datetime, trace_id: str) -> ProbeResult:
    failure = result.failure
    return ProbeResult(
        started=started,
        outcome=Outcome.FAILED if failure else Outcome.PASSED,
        failed_step=failure.name if failure else "",
        problem=masked(failure.detail) if failure else "",
        seconds=round(result.seconds, 3),
        trace_id=trace_id,
        steps=tuple((step.name, round(step.seconds, 3)) for step in result.steps),
    )


class Probe:
    """Walks again and again with the same people. One walk at a time."""

    def __init__(
        self,
        target: Target,
        *,
        open_edge: Callable[..., Edge] = Edge.over_tls,
        open_call: Callable[[Path], AbstractAsyncContextManager[Call]] = ProcessCall,
        walk_seconds: float = WALK_SECONDS,
    ) -> None:
        self._target = target
        self._open_edge = open_edge
        self._open_call = open_call
        self._walk_seconds = walk_seconds
        self._regulars = Regulars()
        self.step_names = tuple(step.name for step in probe_steps(self._regulars, target.client))

    async def once(self) -> ProbeResult:
        """One walk. Whatever goes wrong is in the result; only being cancelled passes through, after tidying up."""
        started, trace_id = datetime.now(UTC), secrets.token_hex(16)
        begun = time.perf_counter()

        def failed(step: str, problem: str) -> ProbeResult:
            seconds = round(time.perf_counter() - begun, 3)
            return ProbeResult(started, Outcome.FAILED, step, masked(problem), seconds, trace_id, ())

        try:
            async with asyncio.timeout(self._walk_seconds):
                return summarised(await self._walk(trace_id), started, trace_id)
        except TimeoutError:
            return failed(UNFINISHED, f"given up after {self._walk_seconds:g} s")
        except Exception as fault:
            # A prober that dies of a fault of its own would leave the indicators without anybody to keep them alive.
            return failed(BROKEN, f"{type(fault).__name__}: {fault}")

    async def _walk(self, trace_id: str) -> WalkResult:
        target = self._target
        headers = {HEADER_SYNTHETIC: "1", "traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"}
        edge = self._open_edge(target.url, target.ca_file, via=target.via, headers=headers)
        try:
            async with self._open_call(target.ca_file) as call:
                walk = Walk(edge, call, CALL_SECONDS, target.client_secret)
                try:
                    return await run(probe_steps(self._regulars, target.client), walk)
                finally:
                    await self._tidy_up(walk)
        finally:
            await edge.aclose()

    async def _tidy_up(self, walk: Walk) -> None:
        try:
            async with asyncio.timeout(TIDY_SECONDS):
                await tidy_up(walk, self._regulars)
        except TimeoutError:
            self._regulars.spend_slot()
