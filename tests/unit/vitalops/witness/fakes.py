"""Fakes of what the witness acts with."""

from __future__ import annotations

from dataclasses import dataclass, field

from vitalops.detection.machine import Lost, Word
from vitalops.errors import UsageError
from vitalops.evidence.record import MemoryJournal
from vitalops.model.failover import FailoverMode
from vitalops.ports.clock import FakeClock
from vitalops.witness.automation import Automation, Filed, Loss


@dataclass(slots=True)
class FakeFailovers:
    """In memory: what was filed, in order."""

    filed: list[tuple[Loss, bool]] = field(default_factory=list[tuple[Loss, bool]])
    endings: dict[str, str] = field(default_factory=dict[str, str])
    there: Filed | None = None
    refuses: str = ""
    left: str = ""

    def open(self) -> Filed | None:
        return self.there

    def file(self, loss: Loss, *, unattended: bool) -> Filed:
        if self.refuses:
            raise UsageError(self.refuses)
        self.filed.append((loss, unattended))
        return Filed(f"region-failover-{len(self.filed)}", waits=not unattended)

    def ended(self, run: str) -> str:
        return self.endings.get(run, "")

    def take_up(self) -> str:
        if self.refuses:
            raise UsageError(self.refuses)
        return self.left


@dataclass(slots=True)
class FakeLog:
    lines: list[str] = field(default_factory=list[str])

    def say(self, text: str) -> None:
        self.lines.append(text)


LOST = Lost("fr-par", 5.0, (Word("witness -> fr-par guard", False, 5.0),))


def automation(mode: FailoverMode = FailoverMode.AUTOMATIC) -> Automation:
    return Automation("france", mode, FakeFailovers(), MemoryJournal(), FakeClock(), FakeLog())
