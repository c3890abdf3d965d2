"""Rules about SLIs, objectives, telemetry and planned work, written as those of `rules.py`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from vitalops.conventions import JOB_PROBER, SEVERITY_PAGE
from vitalops.model.draft import Draft
from vitalops.model.slo import LatencySli, QualitySli, RatioSli, Selector, Sli
from vitalops.model.source import Flaw, Pointer
from vitalops.slo.catalogue import CATALOGUE, HISTOGRAM_SUFFIXES, exported
from vitalops.slo.windows import DAY, bundled_windows
from vitalops.suggest import closest, shown

LONGEST_WORK = timedelta(days=7)


def ratios_say_what_is_good_or_bad(draft: Draft) -> Iterator[Flaw]:
    for name, sli in draft.slis.items():
        if isinstance(sli, RatioSli) and (sli.good is None) == (sli.bad is None):
            have = "both `good` and `bad`" if sli.good else "neither `good` nor `bad`"
            yield Flaw(
                ("slis", name), f"{name} has {have}", "give exactly one: the other follows from `total`"
            )


def slis_are_measured_by_something(draft: Draft) -> Iterator[Flaw]:
    own = {metric for service in draft.services.values() for metric in service.exports}
    for name, sli in draft.slis.items():
        for key, chosen in _selectors(sli):
            pointer = ("slis", name, key, "metric")
            if exported(chosen.metric) is None and _base(chosen.metric) not in own:
                yield _unknown(pointer, chosen.metric, own)
            elif isinstance(sli, LatencySli):
                yield from _histogram(pointer, chosen.metric)
            else:
                yield from _counter(pointer, chosen.metric)


def latency_thresholds_are_bounds(draft: Draft) -> Iterator[Flaw]:
    for name, sli in draft.slis.items():
        known = CATALOGUE.get(sli.histogram.metric) if isinstance(sli, LatencySli) else None
        if isinstance(sli, LatencySli) and known and known.bounds and known.name.endswith("_seconds"):
            bounds = [round(bound * 1000) for bound in known.bounds if bound * 1000 >= 1]
            if sli.threshold_ms not in bounds:
                yield Flaw(
                    ("slis", name, "threshold_ms"),
                    f"{known.name} has no bucket that ends at {sli.threshold_ms} ms",
                    f"one of {', '.join(map(str, bounds))}",
                )


def objectives_have_names_of_their_own(draft: Draft) -> Iterator[Flaw]:
    """An objective is known as SERVICE-SLI, and both may have hyphens."""
    taken: dict[str, tuple[str, str]] = {}
    for service in draft.services.values():
        tier = draft.tiers.get(service.tier)
        for sli in {**(tier.objectives if tier else {}), **service.objectives}:
            other = taken.setdefault(f"{service.name}-{sli}", (service.name, sli))
            if other != (service.name, sli):
                yield Flaw(
                    ("services", service.name),
                    f"its objective for {sli} and {other[0]}'s for {other[1]} have the same name "
                    f"{service.name}-{sli}",
                    "rename the service or the SLI",
                )


def windows_fit_into_retention(draft: Draft) -> Iterator[Flaw]:
    if draft.telemetry is None:
        return
    kept = draft.telemetry.retention_days
    for name, tier in draft.tiers.items():
        if tier.window_days > kept:
            yield Flaw(
                ("tiers", name, "window_days"),
                f"a budget of {tier.window_days} days cannot be worked out from metrics kept for {kept} days",
                f"raise telemetry.retention_days to {tier.window_days + 1} or more, or shorten the window",
            )
    longest = bundled_windows().longest
    if longest.long > kept * DAY:
        yield Flaw(
            ("telemetry", "retention_days"),
            f"alerts look back {longest.long_name}, and metrics are kept for {kept} days",
            f"keep them for {-(-longest.long // DAY)} days or more",
        )


def planned_work_is_a_time(draft: Draft) -> Iterator[Flaw]:
    for index, work in draft.planned_work.items():
        place = ("planned_work", index)
        naive = [key for key in ("start", "end") if getattr(work, key).tzinfo is None]
        for key in naive:
            moment = getattr(work, key).isoformat()
            yield Flaw(
                (*place, key),
                f"{moment} does not say how far it is from UTC",
                f"write {moment}Z for UTC, or with an offset such as +01:00",
            )
        if not naive and work.end <= work.start:
            yield Flaw((*place, "end"), "it ends before it starts", "is the date right?")
        elif not naive and work.end - work.start > LONGEST_WORK:
            yield Flaw(
                (*place, "end"),
                f"it lasts longer than {LONGEST_WORK.days} days, in which nothing would alert",
                "declare shorter windows",
            )
        for key, named in (("regions", work.regions), ("services", work.services)):
            if named == ():
                yield Flaw(
                    (*place, key), "the work concerns nothing", f"name {key}, or leave `{key}` out for all"
                )


def webhooks_have_names_of_their_own(draft: Draft) -> Iterator[Flaw]:
    first: dict[str, int] = {}
    for index, name in draft.webhooks:
        if first.setdefault(name, index) != index:
            yield Flaw(
                ("alerting", "webhooks", index, "name"),
                f"{shown(name)} is the name of another webhook",
                "give each its own",
            )


OBJECTIVE_RULES = (
    ratios_say_what_is_good_or_bad,
    slis_are_measured_by_something,
    latency_thresholds_are_bounds,
    objectives_have_names_of_their_own,
    windows_fit_into_retention,
    planned_work_is_a_time,
    webhooks_have_names_of_their_own,
)


def objective_warnings(draft: Draft) -> Iterator[Flaw]:
    """What is allowed and may not be meant: SLIs of no objective or without a prober, pages that cannot come."""
    used = {sli for tier in draft.tiers.values() for sli in tier.objectives}
    used |= {sli for service in draft.services.values() for sli in service.objectives}
    for name, sli in draft.slis.items():
        if name not in used:
            yield Flaw(("slis", name), "no tier or service has an objective for it", "add one, or remove it")
        jobs = {known.job for _, chosen in _selectors(sli) if (known := exported(chosen.metric))}
        if JOB_PROBER in jobs and draft.telemetry is not None and not draft.telemetry.prober.enabled:
            yield Flaw(
                ("slis", name),
                "the prober measures it, and is switched off",
                "set telemetry.prober.enabled to true, or remove it",
            )
    for name, tier in draft.tiers.items():
        if not tier.pages:
            continue
        rates = [window.burn(tier.window_days) for window in bundled_windows().of(SEVERITY_PAGE)]
        for sli, objective in tier.objectives.items():
            if min(rates) * (1 - objective) >= 1:
                yield Flaw(
                    ("tiers", name, "objectives", sli),
                    f"even a full outage spends the budget of {objective} too slowly to page anybody",
                    "promise more, or expect tickets only",
                )


def _selectors(sli: Sli) -> Iterator[tuple[str, Selector]]:
    match sli:
        case RatioSli():
            for key in ("total", "good", "bad"):
                if (chosen := getattr(sli, key)) is not None:
                    yield key, chosen
        case LatencySli():
            yield "histogram", sli.histogram
        case QualitySli():
            yield "streams", sli.streams


def _unknown(pointer: Pointer, metric: str, own: Iterable[str]) -> Flaw:
    near = closest(metric, (*CATALOGUE, *own))
    also = f"did you mean {near!r}? Else " if near else ""
    return Flaw(
        pointer,
        f"nothing exports {shown(metric, 80)}",
        f"{also}name it in the `exports` of the service that has it",
    )


def _histogram(pointer: Pointer, metric: str) -> Iterator[Flaw]:
    known = exported(metric)
    base = _base(metric)
    if base != metric:
        yield Flaw(pointer, f"{metric} is a part of a histogram", f"write {base}")
    elif known is not None and not known.bounds:
        yield Flaw(pointer, f"{metric} is no histogram", "name one, as http_server_request_duration_seconds")
    elif known is not None and not metric.endswith("_seconds"):
        yield Flaw(pointer, f"{metric} is not in seconds", "name a histogram of durations")


def _counter(pointer: Pointer, metric: str) -> Iterator[Flaw]:
    known = exported(metric)
    if known is None or known.is_counter or (known.bounds and metric != known.name and metric[-4:] != "_sum"):
        return
    if known.bounds:
        yield Flaw(pointer, f"{metric} is not a counter of events", f"write {known.name}_count")
    else:
        yield Flaw(pointer, f"{metric} is not a counter", "name one that ends in _total")


def _base(metric: str) -> str:
    for suffix in HISTOGRAM_SUFFIXES:
        if metric.endswith(suffix):
            return metric.removesuffix(suffix)
    return metric
