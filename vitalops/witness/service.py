"""The witness at work: it looks, thinks, answers and acts, until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vitalops.detection.machine import Assessment, Blind, Healthy, Lost, Split, Suspect
from vitalops.vantage.poller import Poller
from vitalops.vantage.probe import Judge, Probe
from vitalops.witness.automation import Automation
from vitalops.witness.notes import Notes
from vitalops.witness.server import Pages, serve

THINK_SECONDS = 0.1
"""Between two thoughts; far less than between two looks."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the witness answers, and as whom."""

    host: str
    port: int
    context: ssl.SSLContext


@dataclass(frozen=True, slots=True)
class Witness:
    notes: Notes
    automation: Automation
    probes: Sequence[Probe]
    judges: Sequence[Judge]
    listening: Listening

    def status(self) -> Mapping[str, Any]:
        """JSON of what it thinks, for `vitalops witness status`."""
        watch, automation = self.notes.watch, self.automation
        found = self.notes.assess()
        filed = automation.filed
        return {
            "pair": watch.pair,
            "process": os.getpid(),
            "mode": automation.mode.value,
            "active": watch.active,
            "standby": watch.standby,
            "token": watch.token,
            "state": state_of(found),
            "run": filed.run if filed else "",
            "said": automation.said,
            "words": [asdict(word) for word in watch.words(self.notes.clock.monotonic())],
        }

    async def think(self) -> None:
        """Once: from what is seen now to what is done about it.

        In a thread: to file a run takes a moment, in which the guards must go on being answered.
        """
        watch, found = self.notes.watch, self.notes.assess()
        withheld = await asyncio.to_thread(
            self.automation.consider, found, watch.active, watch.standby, watch.token
        )
        # A region that has become active meanwhile is not the one that was found lost.
        self.notes.withheld = withheld and self.notes.watch.active == watch.active

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. Raises UsageError where it cannot listen."""
        pages = Pages(self.notes.report_to, self.status)
        server = await serve(pages, self.listening.host, self.listening.port, self.listening.context)
        interval = self.notes.watch.limits.interval
        poller = Poller(self.probes, self.judges, self.notes, self.notes.clock, interval)
        try:
            async with asyncio.TaskGroup() as group:
                looking = group.create_task(poller.run())
                while not stop.is_set():
                    await self.think()
                    try:
                        async with asyncio.timeout(THINK_SECONDS):
                            await stop.wait()
                    except TimeoutError:
                        continue
                looking.cancel()
        finally:
            server.close()


def state_of(found: Assessment) -> str:
    """The assessment's name, as people and programs read it."""
    match found:
        case Healthy():
            return "healthy"
        case Suspect():
            return "suspect"
        case Lost():
            return "lost"
        case Blind():
            return "blind"
        case Split():
            return "split"
