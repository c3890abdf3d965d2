"""What counts as an event, as a failure, and as being measured at all, for each kind of SLI: PromQL over raw series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import assert_never

from vitalops.conventions import METRIC_TRAFFIC, TRAFFIC_REAL
from vitalops.model.slo import LatencySli, QualitySli, RatioSli, Selector, Sli
from vitalops.slo.objectives import Slo
from vitalops.slo.promql import duration, matcher

Count = Callable[[str], str]
"""From a selector of counters, an expression for how much they grew."""


@dataclass(frozen=True, slots=True)
class Source:
    """Selectors of the raw counters of one SLO. Exactly one of `bad` and `good` is there."""

    total: str
    bad: str | None
    good: str | None
    unjudged: str | None
    presence: str
    """Series that are there whenever the SLI can be measured, even before the first event. What an SLI leaves out
    (`without`) says what is not counted, not what must be there, and is ignored here."""


def source_of(slo: Slo) -> Source:
    """The raw counters behind an SLO, with `{service}` filled in."""
    sli, service = slo.sli, slo.service
    match sli:
        case RatioSli():
            return Source(
                total=select(sli.total, service),
                bad=select(sli.bad, service) if sli.bad else None,
                good=select(sli.good, service) if sli.good else None,
                unjudged=None,
                presence=_presence(sli.total, service),
            )
        case LatencySli():
            bound = matcher("le", bound_forms(sli.threshold_ms))
            return Source(
                total=select(sli.histogram, service, "_count"),
                bad=None,
                good=select(sli.histogram, service, "_bucket", bound),
                unjudged=None,
                presence=_presence(sli.histogram, service, "_count"),
            )
        case QualitySli():
            judged = tuple(dict.fromkeys((*sli.good, *sli.poor)))
            return Source(
                total=select(sli.streams, service, "", matcher(sli.state_label, judged)),
                bad=select(sli.streams, service, "", matcher(sli.state_label, sli.poor)),
                good=None,
                unjudged=select(sli.streams, service, "", matcher(sli.state_label, judged, equal=False)),
                presence=_presence(sli.streams, service),
            )
        case _:
            assert_never(sli)


def bound_forms(threshold_ms: int) -> tuple[str, ...]:
    """A bucket's bound in seconds as it may stand in `le`: `0.5`, or both `3` and `3.0`.

    Prometheus 3 writes whole bounds as `3.0` whatever was scraped; before, `le` is as the client wrote it, which is
    `3.0` for Python's and `3` for Go's.
    """
    text = format(Decimal(threshold_ms) / 1000, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return (text,) if "." in text else (text, f"{text}.0")


def select(chosen: Selector, service: str, suffix: str = "", *more: str) -> str:
    """The selector of an SLI's series."""
    matchers = [matcher(label, _filled(values, service)) for label, values in chosen.labels.items()]
    matchers += [
        matcher(label, _filled(values, service), equal=False) for label, values in chosen.without.items()
    ]
    inside = ",".join([*matchers, *more])
    return f"{chosen.metric}{suffix}{{{inside}}}" if inside else f"{chosen.metric}{suffix}"


def _presence(chosen: Selector, service: str, suffix: str = "") -> str:
    return select(Selector(metric=chosen.metric, labels=chosen.labels), service, suffix)


def _filled(values: tuple[str, ...], service: str) -> tuple[str, ...]:
    return tuple(value.replace("{service}", service) for value in values)


def by_traffic(growth: str) -> str:
    """Summed for real and for synthetic traffic apart; series that do not say are real."""
    return (
        f"sum by ({METRIC_TRAFFIC}) "
        f'(label_replace({growth}, "{METRIC_TRAFFIC}", "{TRAFFIC_REAL}", "{METRIC_TRAFFIC}", ""))'
    )


def increase(window: str) -> Count:
    """Growth over a window, counters that began again included: extrapolated to the window's ends."""
    return lambda chosen: by_traffic(f"increase({chosen}[{window}])")


def tiled(window: int, scrape: int) -> Count:
    """Growth over a window that ends one scrape ago, such that windows side by side count every event once.

    The difference of two samples, where `increase()` would extrapolate from those inside the window and so lose or
    invent single events at its ends. Where a counter began again or is new, `increase()` is right and a difference is
    not. A scrape ago, because the latest scrape may not be stored yet.
    """
    ago, before, span = duration(scrape), duration(window + scrape), duration(window)
    return lambda chosen: by_traffic(
        f"({chosen} offset {ago} - {chosen} offset {before} >= 0) or increase({chosen}[{span}] offset {ago})"
    )


def metrics_of(sli: Sli) -> tuple[str, ...]:
    """The metrics that an SLI is measured by, as it names them."""
    match sli:
        case RatioSli():
            chosen = (sli.total, sli.good, sli.bad)
        case LatencySli():
            chosen = (sli.histogram,)
        case QualitySli():
            chosen = (sli.streams,)
        case _:
            assert_never(sli)
    return tuple(dict.fromkeys(each.metric for each in chosen if each is not None))
