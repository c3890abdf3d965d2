"""`vitalops slo status`: every objective's budget, asked of the regions side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from vitalops.errors import ExitCode, VitalopsError
from vitalops.ports.metrics import MetricsSource, Sample, Series
from vitalops.slo import queries
from vitalops.slo.budget import UNMEASURED, BudgetStatus, RegionMeasure, State, status_of, worst_first
from vitalops.slo.objectives import Slo
from vitalops.slo.readings import BUCKETS, Answers, Key, Readings, WindowAnswers


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A Prometheus, and the regions whose series it is asked for.

    `connect` may raise VitalopsError, as the queries may: a source that cannot be asked is part of the answer.
    """

    name: str
    regions: tuple[str, ...]
    connect: Callable[[], MetricsSource]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a line speaks of: a region, or a pair whose regions are joined; `slos` hold there."""

    name: str
    regions: tuple[str, ...]
    slos: tuple[Slo, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """How budgets are asked for. `window` stands in place of the objectives' own."""

    now: datetime
    scrape_interval: timedelta
    window: timedelta | None = None
    service: str | None = None

    def window_of(self, slo: Slo) -> timedelta:
        return self.window or timedelta(days=slo.window_days)


@dataclass(frozen=True, slots=True)
class SourceState:
    """How the asking went. `newest` and `stale` are by region: the latest moment that the source has data of."""

    name: str
    regions: tuple[str, ...]
    reachable: bool
    problem: str = ""
    newest: dict[str, datetime] = field(default_factory=dict[str, datetime])
    stale: tuple[str, ...] = ()


class Verdict(StrEnum):
    OK = "ok"
    EXHAUSTED = "exhausted"
    """At least one budget is spent: measured, whatever else could not be."""
    INCOMPLETE = "incomplete"
    """No budget is known to be spent, and something could not be measured."""


@dataclass(frozen=True, slots=True)
class SloReport:
    """Every objective of every scope, worst first."""

    at: datetime
    verdict: Verdict
    sources: tuple[SourceState, ...]
    slos: tuple[BudgetStatus, ...]

    @property
    def exit_code(self) -> ExitCode:
        codes = {
            Verdict.OK: ExitCode.PASS,
            Verdict.EXHAUSTED: ExitCode.FINDING,
            Verdict.INCOMPLETE: ExitCode.REMOTE,
        }
        return codes[self.verdict]


def slo_status(sources: Sequence[Prometheus], scopes: Sequence[Scope], question: Question) -> SloReport:
    """Ask every source at once. Never raises for a source: what did not answer is `unreachable` in the report."""
    slos = tuple({slo.id: slo for scope in scopes for slo in scope.slos}.values())
    with ThreadPoolExecutor(max_workers=max(len(sources), 1)) as pool:
        asked = [pool.submit(ask, source, slos, question) for source in sources]
        answers = [future.result() for future in asked]
    measures = {key: measure for _, found in answers for key, measure in found.items()}
    statuses = sorted(
        (
            status_of(
                slo,
                scope.name,
                [
                    measures.get((region, slo.id), RegionMeasure(region, trouble=State.UNREACHABLE))
                    for region in scope.regions
                ],
                question.window_of(slo),
            )
            for scope in scopes
            for slo in scope.slos
        ),
        key=worst_first,
    )
    states = tuple(state for state, _ in answers)
    return SloReport(question.now, verdict(states, statuses), states, tuple(statuses))


def verdict(sources: Sequence[SourceState], statuses: Sequence[BudgetStatus]) -> Verdict:
    """A spent budget outweighs what could not be measured: it is spent all the same."""
    if any(status.state is State.EXHAUSTED for status in statuses):
        return Verdict.EXHAUSTED
    unmeasured = any(status.state in UNMEASURED or status.missing for status in statuses)
    if unmeasured or any(not source.reachable or source.stale for source in sources):
        return Verdict.INCOMPLETE
    return Verdict.OK


def ask(
    source: Prometheus, slos: Sequence[Slo], question: Question
) -> tuple[SourceState, Mapping[Key, RegionMeasure]]:
    """What one source says of every objective in each of its regions."""
    try:
        metrics = source.connect()
        return _read(source, metrics, slos, question)
    except VitalopsError as error:
        gone = {
            (region, slo.id): RegionMeasure(region, trouble=State.UNREACHABLE)
            for region in source.regions
            for slo in slos
        }
        return SourceState(source.name, source.regions, reachable=False, problem=str(error)), gone


def _read(
    source: Prometheus, metrics: MetricsSource, slos: Sequence[Slo], question: Question
) -> tuple[SourceState, Mapping[Key, RegionMeasure]]:
    if not slos:
        return SourceState(source.name, source.regions, reachable=True), {}
    lengths = {question.window_of(slo) for slo in slos}
    readings = Readings(_answers(metrics, slos, lengths, question), source.regions, slos)
    newest = {
        region: question.now - age for region in source.regions if (age := readings.age(region)) is not None
    }
    stale = {region for region in source.regions if readings.is_stale(region, question.scrape_interval)}
    if quiet := stale - newest.keys():
        # Rare, and slow: how long ago the last of it was.
        found = metrics.instant(queries.last_recorded(slos, max(lengths), question.service))
        newest |= readings.moments(found, quiet)
    measures = {
        (region, slo.id): readings.measure(
            region,
            slo.id,
            question.window_of(slo),
            question.now,
            stale=region in stale,
            newest=newest.get(region),
        )
        for region in source.regions
        for slo in slos
    }
    # A region that never had any data is absent, objective by objective, and not stale.
    old = tuple(region for region in source.regions if region in stale and region in newest)
    return SourceState(source.name, source.regions, True, "", newest, old), measures


def _answers(
    metrics: MetricsSource, slos: Sequence[Slo], lengths: set[timedelta], question: Question
) -> Answers:
    """All queries at once: none waits for another's answer."""
    service = question.service
    with ThreadPoolExecutor(max_workers=3 + 3 * len(lengths)) as pool:

        def instant(query: str) -> Future[tuple[Sample, ...]]:
            return pool.submit(metrics.instant, query)

        def over(query: str, length: timedelta) -> Future[tuple[Series, ...]]:
            step = length / BUCKETS
            return pool.submit(metrics.range, query, question.now - length + step, question.now, step)

        counted: dict[timedelta, tuple[Future[tuple[Series, ...]], ...]] = {}
        for length in lengths:
            step = length / BUCKETS
            chosen = [slo for slo in slos if question.window_of(slo) == length]
            counted[length] = (
                over(queries.summed(queries.EVENTS_BASE, chosen, step, service), length),
                over(queries.summed(queries.BAD_BASE, chosen, step, service), length),
                over(queries.recorded_minutes(chosen, step, service), length),
            )
        recent = instant(queries.recent(slos, service))
        ages = instant(queries.ages(slos, service))
        scrapes = instant(queries.SCRAPE_AGES)
        windows = {
            length: WindowAnswers(
                question.now - length + length / BUCKETS,
                length / BUCKETS,
                *(future.result() for future in futures),
            )
            for length, futures in counted.items()
        }
        return Answers(windows, recent.result(), ages.result(), scrapes.result())
