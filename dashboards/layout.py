"""Where panels stand: rows of 24 columns, filled from the left, each as high as its highest panel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from dashboards.model import Panel, Section

COLUMNS: Final = 24
HEADING_HEIGHT: Final = 1
_NOTE_LINE: Final = 110
"""Characters of a note that fit into one line, about; each line is one unit of height."""


@dataclass(frozen=True, slots=True)
class Heading:
    title: str


@dataclass(frozen=True, slots=True)
class Note:
    text: str


@dataclass(frozen=True, slots=True)
class Placed:
    """Something at its place: columns from the left, units from the top."""

    thing: Heading | Note | Panel
    x: int
    y: int
    width: int
    height: int


def place(sections: Iterable[Section]) -> Iterator[Placed]:
    """Everything of a dashboard, from top to bottom."""
    y = 0
    for section in sections:
        yield Placed(Heading(section.title), 0, y, COLUMNS, HEADING_HEIGHT)
        y += HEADING_HEIGHT
        if section.note:
            height = _note_height(section.note)
            yield Placed(Note(section.note), 0, y, COLUMNS, height)
            y += height
        x = highest = 0
        for panel in section.panels:
            if x + panel.width > COLUMNS:
                x, y, highest = 0, y + highest, 0
            yield Placed(panel, x, y, panel.width, panel.height)
            x, highest = x + panel.width, max(highest, panel.height)
        y += highest


def _note_height(text: str) -> int:
    lines = sum(1 + len(line) // (2 * _NOTE_LINE) for line in text.splitlines())
    return max(2, lines)
