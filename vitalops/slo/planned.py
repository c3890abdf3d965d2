"""Windows of planned work, as rules of one region: a series that is 1 while it lasts, and an alert that says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from math import ceil, floor

from vitalops.conventions import (
    ALERT_PLANNED,
    METRIC_SERVICE,
    METRIC_SEVERITY,
    RECORD_PLANNED,
    SEVERITY_NONE,
)
from vitalops.model.platform import Platform
from vitalops.model.telemetry import PlannedWork
from vitalops.slo.emit import alert, plain, record


def work_in(platform: Platform, region: str) -> tuple[PlannedWork, ...]:
    """The planned work that concerns a region, in the file's order."""
    return tuple(each for each in platform.planned_work if each.regions is None or region in each.regions)


def concerns(work: PlannedWork, service: str) -> bool:
    """Whether the work is on that service (or on all)."""
    return work.services is None or service in work.services


def whole_region(work: tuple[PlannedWork, ...]) -> tuple[PlannedWork, ...]:
    """Those that are on everything in a region, its gateway and database included."""
    return tuple(each for each in work if each.services is None)


def now_inside(work: tuple[PlannedWork, ...]) -> str:
    """A scalar expression: 1 while any of the windows lasts, else 0."""
    inside = " + ".join(
        f"(time() >= bool {floor(each.start.timestamp())}) * (time() < bool {ceil(each.end.timestamp())})"
        for each in work
    )
    return f"clamp_max(vector({inside}), 1)"


def planned_work(
    work: tuple[PlannedWork, ...], services: tuple[str, ...], labels: Mapping[str, str]
) -> Iterator[str]:
    """The rules of one region. `services` are those placed there, `labels` say which region and pair."""
    for service in services:
        if own := tuple(each for each in work if concerns(each, service)):
            yield record(RECORD_PLANNED, now_inside(own), {**labels, METRIC_SERVICE: service})
    for each in work:
        what = "everything" if each.services is None else ", ".join(each.services)
        yield alert(
            ALERT_PLANNED,
            f"{now_inside((each,))} == 1",
            {METRIC_SEVERITY: SEVERITY_NONE, **labels, "planned": f"{_utc(each.start)}/{_utc(each.end)}"},
            {
                "summary": f"Planned work on {what} until {_utc(each.end)}: {plain(each.reason)}",
                "description": "Until then none of its alerts fires, and what fails is not counted against error "
                "budgets.",
            },
        )


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
