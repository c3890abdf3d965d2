"""The regions' part of the dashboard: a line for each, and what is wrong with it below."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from cli.slo_text import percent
from cli.watch.words import brief, clock, line
from vitalops.watch.snapshot import RegionView, Snapshot, Vitals

if TYPE_CHECKING:
    from rich.text import Text

_STALE_AFTER_INTERVALS: Final = 3
_HEADERS: Final = ("STATE", "ROLE", "LAG", "REQ/S", "5XX", "CALLS", "WAIT", "WALK", "AGE")
_WIDTHS: Final = (11, 7, 7, 6, 6, 5, 4, 8, 7)
_RIGHT: Final = frozenset({"REQ/S", "5XX", "CALLS", "WAIT"})
Cell = tuple[str, str]


def region_lines(regions: Sequence[RegionView], snapshot: Snapshot) -> list[Text]:
    wide = max((len(region.name) for region in regions), default=6) + 1
    header = _row([(header, "dim") for header in _HEADERS])
    lines = [line(("REGION".ljust(wide + 1), "dim"), *header)]
    for region in regions:
        mark = ("»" if region.active else " ") + region.name.ljust(wide)
        lines.append(line(mark, *_cells(region, snapshot)))
        lines += [line((f"  {words}", style)) for words, style in _problems(region)]
    return lines


def _cells(region: RegionView, snapshot: Snapshot) -> list[Cell]:
    state, vitals = region.state, region.vitals
    if state.problem and (vitals.problem or vitals.value is None):
        return [(f"unreachable since {clock(state.since)}" if state.since else "unreachable", "bold red")]
    if state.value is None and vitals.value is None:
        return [("asking …", "dim")]
    word, role = _state(region)
    if vitals.value is None:
        return _row([word, role])
    value, stale = vitals.value, bool(vitals.problem)
    age = _age(region, snapshot.at)
    # A standby's services count what its database was sent: the consultations of the other region.
    copied = state.value is not None and state.value.role == "standby"
    stale = (
        stale or age is None or age > _STALE_AFTER_INTERVALS * snapshot.scrape_interval + snapshot.interval
    )
    cells = [
        word,
        role,
        _lag(value),
        ("-" if value.requests is None else f"{value.requests:.1f}", ""),
        (percent(value.errors, 2), "red" if value.errors else ""),
        _count(None if copied else value.in_call),
        _count(None if copied else value.waiting),
        _walk(value, snapshot.at),
        ("-" if age is None else brief(age) + ("!" if stale else ""), "yellow" if stale else ""),
    ]
    return _row(
        [
            (words, "dim") if stale and place in range(2, 8) else (words, style)
            for place, (words, style) in enumerate(cells)
        ]
    )


def _state(region: RegionView) -> tuple[Cell, Cell]:
    state = region.state
    if state.problem:
        return ("no API", "bold red"), ("", "")
    if state.value is None:
        return ("asking …", "dim"), ("", "")
    return (("ready", "green") if state.value.ready else ("degraded", "red")), (state.value.role, "")


def _row(cells: Sequence[Cell]) -> list[Cell]:
    made: list[Cell] = []
    for (words, style), header, size in zip(cells, _HEADERS, _WIDTHS, strict=False):
        made.append(((words.rjust(size) if header in _RIGHT else words.ljust(size)), style))
        made.append((" ", ""))
    return made


def _age(region: RegionView, at: datetime) -> float | None:
    """Seconds since the region's newest measurement, as far as is known here."""
    held = region.vitals
    if held.value is None or held.value.age is None or held.at is None:
        return None
    return max((at - held.at).total_seconds(), 0.0) + held.value.age


def _lag(value: Vitals) -> Cell:
    if value.streaming is False:
        return "stopped", "red"
    if value.lag is None:
        return "-", ""
    return brief(value.lag), ""


def _count(value: float | None) -> Cell:
    return ("-" if value is None else f"{value:.0f}"), ""


def _walk(value: Vitals, at: datetime) -> Cell:
    if value.last_walk is None:
        return "-", ""
    words = brief((at - value.last_walk).total_seconds())
    failed = round(value.failed_walks or 0)
    return (f"{words} {failed}✗", "red") if failed else (words, "")


def _problems(region: RegionView) -> list[Cell]:
    found: list[Cell] = []
    if region.state.problem:
        told = region.vitals.problem or region.vitals.value is None
        since = "" if told or not region.state.since else f"since {clock(region.state.since)}: "
        found.append((f"{since}{region.state.problem}", "red"))
    elif region.state.value is not None and region.state.value.problem:
        found.append((region.state.value.problem, "yellow"))
    if region.vitals.problem and (not region.state.problem or region.vitals.problem != region.state.problem):
        since = f" since {clock(region.vitals.since)}" if region.vitals.since else ""
        found.append((f"no metrics{since}: {region.vitals.problem}", "yellow"))
    return found
