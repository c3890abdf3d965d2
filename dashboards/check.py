"""Would every panel show something? Each query is asked as Grafana would ask it, with the variables filled in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from dashboards.kit import RATE
from dashboards.model import Choice, Dashboard, Look, Query
from vitalops.errors import VitalopsError
from vitalops.ports.metrics import MetricsSource

POINTS: Final = 60
"""Of each line that is asked for; Grafana draws several hundred, of which a hole in all sixty would be one too."""
_AT_ONCE: Final = 4
_LEAST_STEP: Final = timedelta(seconds=15)


class Outcome(StrEnum):
    DATA = "data"
    EXCUSED = "excused"
    """No data, and the panel says why that is no fault."""
    EMPTY = "empty"
    FAILED = "failed"
    """The query could not be asked."""


@dataclass(frozen=True, slots=True)
class Question:
    """One query of one panel with its variables filled in."""

    dashboard: str
    panel: str
    values: Mapping[str, str]
    expr: str
    instant: bool
    legend: str = ""
    may_be_empty: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Finding:
    question: Question
    outcome: Outcome
    detail: str = ""

    @property
    def is_fault(self) -> bool:
        return self.outcome in (Outcome.EMPTY, Outcome.FAILED)


@dataclass(frozen=True, slots=True)
class Period:
    """What is looked at: `span` up to `end`."""

    end: datetime
    span: timedelta
    scrape: timedelta
    """How often Prometheus scrapes."""

    @property
    def step(self) -> timedelta:
        whole = timedelta(seconds=math.ceil(self.span.total_seconds() / POINTS))
        return max(whole, _LEAST_STEP)

    @property
    def rate_interval(self) -> str:
        """`$__rate_interval` by Grafana's formula: max(step + scrape, 4 x scrape)."""
        widest = max(self.step + self.scrape, 4 * self.scrape)
        return f"{math.ceil(widest.total_seconds())}s"


def questions(
    dashboards: Iterable[Dashboard], region: str, services: Sequence[str], period: Period
) -> Iterator[Question]:
    """Every query, once for each service where its dashboard has that variable; of other choices, their default."""
    for dashboard in dashboards:
        names = {variable.name for variable in dashboard.variables}
        for service in services if "service" in names else ("",):
            values = {
                each.name: each.values[0][1] for each in dashboard.variables if isinstance(each, Choice)
            }
            if "region" in names:
                values["region"] = region
            if service:
                values["service"] = service
            for panel in dashboard.panels:
                for query in panel.queries:
                    instant = panel.look in (Look.TABLE, Look.NUMBER)
                    yield Question(
                        dashboard.slug,
                        panel.title,
                        values,
                        filled(query, values, period),
                        instant,
                        query.legend,
                        query.may_be_empty,
                    )


def filled(query: Query, values: Mapping[str, str], period: Period) -> str:
    """The query without variables."""
    text = query.expr.replace(RATE, period.rate_interval)
    # The longest names first: one may be the beginning of another.
    for name in sorted(values, key=len, reverse=True):
        text = text.replace(f"${name}", values[name])
    return text


def check(asked: Iterable[Question], source: MetricsSource, period: Period) -> tuple[Finding, ...]:
    """What each question found, in their order. Raises RemoteError where nobody answers at all."""
    source.instant("vector(1)", period.end)

    def ask(question: Question) -> Finding:
        return _ask(question, source, period)

    with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="panels") as pool:
        return _without_hollow_excuses(tuple(pool.map(ask, asked)))


def _without_hollow_excuses(found: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """A panel that may be empty for some services must have data for one of them."""

    def key(finding: Finding) -> tuple[str, ...]:
        question = finding.question
        return question.dashboard, question.panel, question.legend

    shown = {key(finding) for finding in found if finding.outcome is Outcome.DATA}
    return tuple(
        replace(finding, outcome=Outcome.EMPTY, detail="no series for any service")
        if finding.outcome is Outcome.EXCUSED
        and "service" in finding.question.values
        and key(finding) not in shown
        else finding
        for finding in found
    )


def _ask(question: Question, source: MetricsSource, period: Period) -> Finding:
    try:
        if question.instant:
            values = [sample.value for sample in source.instant(question.expr, period.end)]
        else:
            found = source.range(question.expr, period.end - period.span, period.end, period.step)
            values = [value for series in found for _, value in series.points]
    except VitalopsError as error:
        return Finding(question, Outcome.FAILED, error.message)
    if any(not math.isnan(value) for value in values):
        return Finding(question, Outcome.DATA)
    if question.may_be_empty:
        return Finding(question, Outcome.EXCUSED, question.may_be_empty)
    return Finding(question, Outcome.EMPTY, "only values that are no number" if values else "no series")
