"""The table of `vitalops slo status`, as wide as there is room for."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from cli import slo_text as text
from cli.output import Colour, paint
from vitalops.slo.budget import BudgetStatus, State
from vitalops.slo.status import SloReport, Verdict

_UNLIMITED: Final = 10_000
GAP: Final = "  "
_COLOURED: Final = frozenset({"state", "budget"})
_SHORTEST_NAME: Final = 12
_NAMED: Final = 4
_YOUNG: Final = 0.98
"""Less of a window than this with data is said: 98 % leaves room for a restart."""


@dataclass(frozen=True, slots=True)
class _Column:
    """`dropped` orders what goes first where there is no room; 0 stays."""

    header: str
    cell: Callable[[BudgetStatus], str]
    dropped: int = 0
    right: bool = False


_COLUMNS: Final = (
    _Column("state", text.state_word),
    _Column("scope", lambda each: each.scope),
    _Column("service", lambda each: each.service),
    _Column("sli", lambda each: each.sli),
    _Column("objective", lambda each: text.objective(each.objective), dropped=2, right=True),
    _Column("attained", text.attained, dropped=5, right=True),
    _Column("left", lambda each: text.percent(each.budget_left), right=True),
    _Column("budget", lambda each: text.bar(each.budget_left), dropped=3),
    _Column("burn 1h", lambda each: text.burn(each.burn_1h), right=True),
    _Column("6h", lambda each: text.burn(each.burn_6h), dropped=4, right=True),
    _Column("lasts", text.lasts, dropped=6),
    _Column("history", lambda each: text.sparkline(each.history), dropped=1),
)


def width_of_output() -> int:
    """Columns of the terminal, or of $COLUMNS; a pipe has room for everything."""
    if os.environ.get("COLUMNS", "").isdigit() or sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    return _UNLIMITED


def render(report: SloReport) -> str:
    """The whole report: what could not be asked first, then the objectives, worst first, and what the words mean."""
    parts = [*_problems(report), _table(report.slos, width_of_output()), *_notes(report)]
    return "\n".join(part for part in parts if part)


def _problems(report: SloReport) -> list[str]:
    lines: list[str] = []
    for source in report.sources:
        if not source.reachable:
            lines.append(f"{paint('unreachable', 'red')}  {source.problem}")
        for region in source.stale:
            newest = text.moment(source.newest.get(region))
            lines.append(f"{paint('stale', 'yellow')}  region {region}: its newest data is of {newest}")
    return lines


@dataclass(frozen=True, slots=True)
class Cell:
    """Padded to its column's width."""

    text: str
    colour: Colour | None = None


def layout(statuses: Sequence[BudgetStatus], width: int) -> list[list[Cell]]:
    """A header and a row for each of `statuses`, in columns: those that matter least are left out to fit `width`."""
    scopes = {status.scope for status in statuses}
    columns = [column for column in _COLUMNS if column.header != "scope" or len(scopes) > 1]
    cells = {column.header: [column.cell(status) for status in statuses] for column in columns}

    def sizes() -> dict[str, int]:
        return {column.header: max(len(column.header), *map(len, cells[column.header])) for column in columns}

    def excess() -> int:
        return sum(sizes().values()) + len(GAP) * (len(columns) - 1) - width

    for order in sorted(column.dropped for column in columns if column.dropped):
        if excess() <= 0:
            break
        columns = [column for column in columns if column.dropped != order]
    if (over := excess()) > 0:
        room = max(sizes()["sli"] - over, _SHORTEST_NAME)
        cells["sli"] = [name if len(name) <= room else f"{name[: room - 1]}…" for name in cells["sli"]]
    widths = sizes()

    def cell(column: _Column, words: str, colour: Colour | None = None) -> Cell:
        size = widths[column.header]
        return Cell(words.rjust(size) if column.right else words.ljust(size), colour)

    rows = [[cell(column, column.header.upper()) for column in columns]]
    for place, status in enumerate(statuses):
        colour = text.STATE_COLOURS[status.state]
        rows.append(
            [
                cell(column, cells[column.header][place], colour if column.header in _COLOURED else None)
                for column in columns
            ]
        )
    return rows


def _table(statuses: Sequence[BudgetStatus], width: int) -> str:
    if not statuses:
        return "no objectives"
    return "\n".join(_line(row) for row in layout(statuses, width))


def _line(row: Sequence[Cell]) -> str:
    return GAP.join(paint(cell.text, cell.colour) if cell.colour else cell.text for cell in row).rstrip()


def _notes(report: SloReport) -> list[str]:
    notes = [*_missing(report.slos), *_young(report.slos)]
    spent = sum(status.state is State.EXHAUSTED for status in report.slos)
    words: dict[Verdict, tuple[str, Colour]] = {
        Verdict.OK: ("no budget is spent", "green"),
        Verdict.EXHAUSTED: (f"{spent} of {len(report.slos)} budgets spent", "red"),
        Verdict.INCOMPLETE: ("no budget is known to be spent; not everything could be measured", "yellow"),
    }
    line, colour = words[report.verdict]
    return [*notes, paint(line, colour)]


def _missing(statuses: Sequence[BudgetStatus]) -> list[str]:
    """Whose numbers lack what region; the same trouble of many objectives is one line."""
    by_trouble: dict[str, list[str]] = {}
    for status in statuses:
        if status.missing and status.state is not State.UNREACHABLE:
            said = ", ".join(f"{region} {state.value}" for region, state in status.missing.items())
            trouble = f"* without {said}" if status.partial else said
            by_trouble.setdefault(trouble, []).append(status.slo)
    return [f"{trouble}: {_some(names)}" for trouble, names in by_trouble.items()]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown


def _young(statuses: Sequence[BudgetStatus]) -> list[str]:
    young = [status for status in statuses if 0 < status.covered < _YOUNG]
    if not young:
        return []
    least = min(young, key=lambda status: status.covered * status.window_days)
    held = text.duration(least.covered * least.window_days * 86_400)
    return [
        f"{len(young)} of {len(statuses)} have data for a part of their window only;"
        f" the least: {held} of {least.window_days:g} d"
    ]
