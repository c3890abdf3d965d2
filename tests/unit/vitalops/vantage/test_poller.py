"""The loop that looks along every line at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from vitalops.detection.sights import Part, Place, Vantage
from vitalops.fencing.report import GuardReport
from vitalops.ports.clock import SystemClock
from vitalops.vantage.poller import Poller
from vitalops.vantage.probe import FakeJudge, FakeProbe

GUARD = Vantage(Place.WITNESS, Part.GUARD, "fr-par")
GATEWAY = Vantage(Place.WITNESS, Part.GATEWAY, "fr-par")


@dataclass(slots=True)
class Heard:
    tried: list[Vantage] = field(default_factory=list[Vantage])
    heard: list[Vantage] = field(default_factory=list[Vantage])
    ruled: list[Mapping[str, bool]] = field(default_factory=list[Mapping[str, bool]])

    def trying(self, vantage: Vantage, at: float) -> None:
        del at
        self.tried.append(vantage)

    def hearing(self, vantage: Vantage, at: float, report: GuardReport | None) -> None:
        del at, report
        self.heard.append(vantage)

    def ruling(self, judge: str, at: float, seen: Mapping[str, bool]) -> None:
        del judge, at
        self.ruled.append(seen)


def polled(probes: list[FakeProbe], judges: list[FakeJudge], seconds: float = 0.12) -> Heard:
    heard = Heard()

    async def for_a_while() -> None:
        poller = Poller(probes, judges, heard, SystemClock(), interval=0.01, attempt_seconds=0.05)
        task = asyncio.create_task(poller.run())
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(for_a_while())
    return heard


def test_a_line_that_hangs_delays_no_other_and_is_tried_on_and_on() -> None:
    hanging, well = FakeProbe(GUARD, hangs=True), FakeProbe(GATEWAY)
    heard = polled([hanging, well], [])
    assert heard.heard.count(GUARD) == 0
    assert heard.tried.count(GUARD) >= 4
    assert heard.heard.count(GATEWAY) >= 4
    assert hanging.closed
    assert well.closed


def test_a_refused_attempt_is_tried_and_not_heard() -> None:
    heard = polled([FakeProbe(GUARD, answers=lambda: None)], [])
    assert heard.heard == []
    assert GUARD in heard.tried


def test_a_judge_is_heard_and_one_that_fails_is_silent() -> None:
    heard = polled([], [FakeJudge(seen={"fr-par": True}), FakeJudge(fails=True)], 0.06)
    assert heard.ruled
    assert all(seen == {"fr-par": True} for seen in heard.ruled)
