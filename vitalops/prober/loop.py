"""When synthetic consultations take place: at a steady beat, never two at once."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from vitalops.prober.probe import ProbeResult


@dataclass(frozen=True, slots=True)
class Beat:
    """Walks begin `interval` seconds apart, the first after `delay`; `count` of them, or without end."""

    interval: float
    delay: float = 0.0
    count: int | None = None


def next_start(last: float, now: float, interval: float) -> float:
    """When the next walk begins: on the beat, or at once when the walk before took longer. Missed beats stay missed."""
    return max(now, last + interval)


async def walk_on(
    once: Callable[[], Awaitable[ProbeResult]],
    report: Callable[[ProbeResult], None],
    beat: Beat,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Walks at the beat and reports each result. Ends when cancelled, or after `beat.count` walks."""
    start = now() + beat.delay
    done = 0
    while beat.count is None or done < beat.count:
        await sleep(max(0.0, start - now()))
        start = now()
        report(await once())
        done += 1
        start = next_start(start, now(), beat.interval)


async def until_told(work: Coroutine[Any, Any, None]) -> None:
    """Runs `work` until it ends or SIGTERM or SIGINT comes; then it is cancelled, and may tidy up."""
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)
    told = False

    def tell() -> None:
        nonlocal told
        told = True
        task.cancel()

    for number in numbers:
        loop.add_signal_handler(number, tell)
    try:
        await task
    except asyncio.CancelledError:
        if not told:
            raise
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
