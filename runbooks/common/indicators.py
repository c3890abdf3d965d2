"""Service level indicators, as the regions' recorded series give them."""

from __future__ import annotations

from dataclasses import dataclass

from vitalops.conventions import METRIC_SERVICE, METRIC_SLI, RECORD_EVENTS, RECORD_RATIO
from vitalops.errors import RemoteError
from vitalops.ports.running import RunningPlatform

WINDOW = "5m"
"""The shortest window that is recorded for every objective."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Share of bad events in the last five minutes, and how many events there were. None where nothing is recorded."""

    bad: float | None
    events: float | None

    @property
    def text(self) -> str:
        if self.bad is None:
            return "no events"
        counted = "" if self.events is None else f" of {self.events:.0f} events"
        return f"{self.bad:.2%} bad{counted}"

    def document(self) -> dict[str, float | None]:
        return {"bad": self.bad, "events": self.events}


NOTHING = Reading(None, None)


def reading(running: RunningPlatform, region: str, sli: str, service: str) -> Reading:
    """One indicator of one service in one region. What cannot be asked counts as unknown: it must not stop a repair."""
    labels = f'{{{METRIC_SLI}="{sli}",{METRIC_SERVICE}="{service}"}}'
    try:
        metrics = running.metrics(region)
        bad = metrics.instant(f"max({RECORD_RATIO}{WINDOW}{labels})")
        events = metrics.instant(f"sum({RECORD_EVENTS}{WINDOW}{labels})")
    except RemoteError:
        return NOTHING
    return Reading(bad[0].value if bad else None, events[0].value if events else None)
