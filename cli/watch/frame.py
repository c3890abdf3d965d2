"""How a snapshot looks: a pure function from what is known to lines of text. Times are UTC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from cli.slo_table import GAP, layout
from cli.watch.alerts import alert_lines
from cli.watch.regions import region_lines
from cli.watch.words import ago, clock, line, missing
from vitalops.watch.snapshot import BudgetView, Held, Snapshot

if TYPE_CHECKING:
    from rich.text import Text

_FEWEST_ALERTS: Final = 3
_HELP: Final = (
    ("q", "quit"),
    ("p", "pause: the screen stands still, asking goes on"),
    ("tab", "one region after the other, then all"),
    ("1-9", "that region; 0 for all"),
    ("?", "this help"),
    ("", ""),
    ("LAG", "by how much a standby database is behind; `stopped` where it receives nothing"),
    ("REQ/S, 5XX", "real requests through the gateway in the last minute, and the share of them that failed"),
    ("CALLS, WAIT", "consultations in call, and patients in waiting rooms"),
    ("WALK", "since the prober's last walk ended; with how many failed in 15 minutes"),
    ("AGE", "of the newest measurement; `!` where it is stale"),
    ("LEFT, BURN", "share of an error budget not spent; how fast it is spent, 1 being just sustainable"),
)


@dataclass(frozen=True, slots=True)
class View:
    """What the person at the keyboard chose. `region` is None for all."""

    region: str | None = None
    paused: bool = False
    help: bool = False


def frame(snapshot: Snapshot, view: View, width: int, height: int | None = None) -> list[Text]:
    """Lines of at most `width` columns; exactly `height` of them, or as many as there are where it is None."""
    top = [_title(snapshot, view)]
    if view.help:
        body = [line((f"  {keys:<12}", "bold"), words) for keys, words in _HELP]
    else:
        body = _body(snapshot, view, width, None if height is None else height - len(top) - 1)
    lines = [*top, *body]
    if height is not None:
        room = max(height - 1, 1)
        lines = lines[:room] + [line() for _ in range(room - len(lines))]
        lines.append(_keys(snapshot, view))
    for each in lines:
        each.truncate(width, overflow="ellipsis")
    return lines


def _body(snapshot: Snapshot, view: View, width: int, room: int | None) -> list[Text]:
    regions = tuple(each for each in snapshot.regions if view.region in (None, each.name))
    budgets = tuple(each for each in snapshot.budgets if view.region is None or view.region in each.regions)
    lines = region_lines(regions, snapshot)
    changes = [
        line(
            ("changing  ", "yellow"),
            f"{change.stack}  by {change.holder}"
            + (f"  for {ago(snapshot.at, change.since)}" if change.since else ""),
        )
        for region in regions
        if region.state.value is not None
        for change in region.state.value.operations
    ]
    lines += [line(), *changes] if changes else []
    alerts = alert_lines(regions, snapshot.at)
    if room is not None:
        most = max(_FEWEST_ALERTS, (room - len(lines)) // 3)
        alerts = _cut(alerts, 1 + most)
    lines += [line(), *alerts]
    for budget in budgets:
        left = None if room is None else (room - len(lines)) // (len(budgets) - budgets.index(budget))
        lines += [line(), *_budget_lines(budget, snapshot.at, width, left)]
    return lines


def _budget_lines(budget: BudgetView, at: datetime, width: int, room: int | None) -> list[Text]:
    held = budget.report
    head: list[Any] = [(f"BUDGETS {budget.scope}", "bold"), f"  {_as_of(held, at)}"]
    if held.problem:
        head.append((f"  {missing(held)}", "red"))
    if held.value is None:
        return [line(*head)]
    for source in held.value.sources:
        if not source.reachable:
            head.append((f"  without {', '.join(source.regions)}: unreachable", "red"))
        elif source.stale:
            head.append((f"  {', '.join(source.stale)}: stale", "yellow"))
    rows = layout(held.value.slos, width)
    shown = [line(*_spaced([(cell.text, cell.colour or "") for cell in row])) for row in rows]
    shown[0].stylize("dim")
    return [line(*head), *(shown if room is None else _cut(shown, room - 2))]


def _spaced(cells: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [part for cell in cells for part in (cell, (GAP, ""))][:-1]


def _cut(lines: list[Text], room: int) -> list[Text]:
    """At most `room` lines; the last then says how many more there are."""
    if len(lines) <= room:
        return lines
    kept = lines[: max(room - 1, 1)]
    return [*kept, line((f"… {len(lines) - len(kept)} more", "dim"))]


def _as_of(held: Held[Any], at: datetime) -> str:
    return (
        "asking …"
        if held.at is None and not held.problem
        else f"asked {ago(at, held.at)} ago"
        if held.at
        else ""
    )


def _title(snapshot: Snapshot, view: View) -> Text:
    parts: list[Any] = [(f"vitalops watch  {snapshot.platform}", "bold"), f"  {clock(snapshot.at)} UTC"]
    if view.region:
        parts.append((f"  only {view.region}", "yellow"))
    if view.paused:
        parts.append(("  PAUSED", "bold yellow"))
    return line(*parts)


def _keys(snapshot: Snapshot, view: View) -> Text:
    numbered = "  ".join(f"{place} {region.name}" for place, region in enumerate(snapshot.regions[:9], 1))
    pause = "p go on" if view.paused else "p pause"
    back = "? back" if view.help else "? help"
    return line((f"q quit  {pause}  {back}  tab next  {numbered}", "dim"))
