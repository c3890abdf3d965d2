"""What a trace is: spans of several services, one caused by another, under one id."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from vitalops.errors import UsageError

_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")


def parse_trace_id(text: str) -> str:
    """A trace id as W3C writes it. Raises UsageError for what is none."""
    wanted = text.strip().lower()
    if _TRACE_ID.fullmatch(wanted) is None or set(wanted) == {"0"}:
        raise UsageError(
            f"{text[:64]!r} is no trace id",
            hint="it has 32 hexadecimal digits; log lines and responses carry it",
        )
    return wanted


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work of one service."""

    id: str
    parent_id: str
    """Empty for a span that nothing caused."""
    service: str
    name: str
    start: datetime
    duration: timedelta
    error: bool = False
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def end(self) -> datetime:
        return self.start + self.duration


@dataclass(frozen=True, slots=True)
class Node:
    """A span with what it caused, earliest first."""

    span: Span
    children: tuple[Node, ...] = ()

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Span]]:
        """Every span with its depth, each before what it caused."""
        yield depth, self.span
        for child in self.children:
            yield from child.walk(depth + 1)


@dataclass(frozen=True, slots=True)
class Trace:
    """All spans of one id that a region keeps; there is at least one."""

    id: str
    region: str
    spans: tuple[Span, ...]

    @property
    def start(self) -> datetime:
        return min(span.start for span in self.spans)

    @property
    def duration(self) -> timedelta:
        """From the first span's start to the last one's end."""
        return max(span.end for span in self.spans) - self.start

    @property
    def services(self) -> tuple[str, ...]:
        """Each once, in the order in which they began to work."""
        return tuple(dict.fromkeys(span.service for span in sorted(self.spans, key=began)))

    @property
    def errors(self) -> int:
        """Spans that failed."""
        return sum(span.error for span in self.spans)

    @property
    def roots(self) -> tuple[Node, ...]:
        """The trace as trees: one, unless spans are missing. A span whose cause is missing begins a tree of its own,
        and so does the earliest of spans that name one another as their cause."""
        known = {span.id for span in self.spans}
        below: dict[str, list[Span]] = {}
        tops: list[Span] = []
        for span in sorted(self.spans, key=began):
            if span.parent_id in known and span.parent_id != span.id:
                below.setdefault(span.parent_id, []).append(span)
            else:
                tops.append(span)
        placed: set[str] = set()

        def node(span: Span) -> Node:
            placed.add(span.id)
            return Node(span, tuple(node(each) for each in below.get(span.id, ()) if each.id not in placed))

        made = [node(span) for span in tops]
        made += [node(span) for span in sorted(self.spans, key=began) if span.id not in placed]
        return tuple(made)

    @property
    def name(self) -> str:
        """What the first span did; where it is only called after its service, as the gateway's are, the next one."""
        ordered = sorted(self.spans, key=began)
        return next((span.name for span in ordered if span.name != span.service), ordered[0].name)


def began(span: Span) -> tuple[datetime, timedelta, str]:
    """The order in which spans are shown."""
    # Of two that began together the longer one is the likelier cause.
    return span.start, -span.duration, span.id
