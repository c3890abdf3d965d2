from __future__ import annotations

import asyncio
import os
import signal

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.vitalops.prober.test_metrics import result
from vitalops.prober.loop import Beat, next_start, until_told, walk_on
from vitalops.prober.probe import ProbeResult

moments = st.floats(0, 1e6)


@given(moments, moments, st.floats(10, 3600))
def test_a_walk_begins_on_the_beat_and_never_in_the_past(last: float, took: float, interval: float) -> None:
    start = next_start(last, last + took, interval)
    assert start >= last + took
    assert start >= last + interval
    assert start in (last + took, last + interval)


class Days:
    """A clock that only sleeping and walking move."""

    def __init__(self, *walks: float) -> None:
        self.now = 0.0
        self.walks = list(walks)
        self.starts: list[float] = []
        self.under_way = 0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def once(self) -> ProbeResult:
        self.under_way += 1
        assert self.under_way == 1
        self.starts.append(self.now)
        await asyncio.sleep(0)
        self.now += self.walks.pop(0)
        self.under_way -= 1
        return result()


def test_walks_keep_the_beat_and_a_long_one_delays_only_the_next() -> None:
    days = Days(4, 130, 4, 4)
    heard: list[ProbeResult] = []
    beat = Beat(60, delay=7, count=4)
    asyncio.run(walk_on(days.once, heard.append, beat, now=lambda: days.now, sleep=days.sleep))
    assert days.starts == [7, 67, 197, 257]
    assert len(heard) == 4


def test_a_signal_ends_the_work_and_lets_it_tidy_up() -> None:
    tidied: list[bool] = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            tidied.append(True)

    asyncio.run(until_told(work()))
    assert tidied == [True]
