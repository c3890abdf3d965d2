"""What a dashboard is, before it is Grafana's: panels with queries, units, thresholds and explaining words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

UID_PREFIX: Final = "vitalops-"
SERVICE_SLUG: Final = "service"
SERVICE_UID: Final = UID_PREFIX + SERVICE_SLUG
"""Other dashboards lead to this one."""


class Unit(StrEnum):
    """Units by the ids that Grafana has for them."""

    COUNT = "short"
    SHARE = "percentunit"
    PERCENT = "percent"
    SECONDS = "s"
    MILLISECONDS = "ms"
    MICROSECONDS = "µs"
    BYTES = "bytes"
    BITS_PER_SECOND = "bps"
    PER_SECOND = "cps"
    REQUESTS_PER_SECOND = "reqps"
    CORES = "suffix: cores"
    MULTIPLE = "suffix: x"
    MOS = "suffix: MOS"
    STATE = "none"


class Colour(StrEnum):
    """One meaning each, on every dashboard."""

    GOOD = "green"
    WARNING = "orange"
    BAD = "red"
    PLANNED = "purple"
    NEUTRAL = "blue"
    QUIET = "text"


MEANINGS: Final = (
    (("2xx", "completed", "good", "passed", "signed", "delivered"), Colour.GOOD),
    (("4xx", "missed", "late", "pending"), Colour.WARNING),
    (("5xx", "dropped", "poor", "failed", "dead"), Colour.BAD),
    (("1xx", "3xx", "raised"), Colour.NEUTRAL),
    (("other", "cancelled", "unclassified"), Colour.QUIET),
)
"""Colours of what programs call their answers, outcomes and states: values of the labels below."""
MEANT_LABELS: Final = ("code", "outcome", "state")


class Look(StrEnum):
    LINES = "timeseries"
    STACKED = "stacked"
    NUMBER = "stat"
    TABLE = "table"
    STATES = "state-timeline"
    HEATMAP = "heatmap"


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL. `$region` and the other variables of the dashboard may stand in it."""

    expr: str
    legend: str = ""
    """Grafana's legend, such as `{{service}}`; in a table, the title of the column."""
    colour: Colour | None = None
    unit: Unit | None = None
    """In a table, the column's; the panel's where absent."""
    lines: tuple[Line, ...] = ()
    """In a table, the column's."""
    may_be_empty: str = ""
    """Why having no data is no fault. Empty: there must be data whenever the platform is in use."""


@dataclass(frozen=True, slots=True)
class Line:
    """A threshold: from `value` on, values have this colour."""

    value: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class State:
    """What a value is called, and its colour."""

    value: int
    text: str
    colour: Colour


@dataclass(frozen=True, slots=True)
class Panel:
    """One question and its answer."""

    title: str
    tells: str
    """What it tells somebody who has just been woken."""
    unit: Unit
    queries: tuple[Query, ...]
    look: Look = Look.LINES
    width: int = 8
    """Of 24 columns."""
    height: int = 8
    lines: tuple[Line, ...] = ()
    below: Colour = Colour.GOOD
    """Colour under the lowest line."""
    states: tuple[State, ...] = ()
    service_label: str = ""
    """Label, or column, that holds a service's name: a click on a value opens that service's dashboard."""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    panels: tuple[Panel, ...]
    note: str = ""
    """Markdown above the panels."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a dashboard: the values of `label` among the series of `series`."""

    name: str
    title: str
    series: str
    label: str
    every: bool = False
    """Whether all may be chosen at once; the first value is chosen otherwise."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice among fixed values."""

    name: str
    title: str
    values: tuple[tuple[str, str], ...]
    """(text, value), the default first."""


@dataclass(frozen=True, slots=True)
class Dashboard:
    slug: str
    title: str
    tells: str
    sections: tuple[Section, ...]
    variables: tuple[Variable | Choice, ...] = ()
    tags: tuple[str, ...] = field(default=("vitalops",))
    span: str = "now-1h"

    @property
    def uid(self) -> str:
        """Stable: links and bookmarks outlive every change of the dashboard."""
        return f"{UID_PREFIX}{self.slug}"

    @property
    def panels(self) -> Iterator[Panel]:
        for section in self.sections:
            yield from section.panels
