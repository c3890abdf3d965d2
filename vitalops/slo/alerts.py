"""Alerting rules of objectives: burn, exhausted budgets, and SLIs that cannot be measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil

from vitalops.conventions import (
    ALERT_BURN,
    ALERT_EXHAUSTED,
    ALERT_SLI_ABSENT,
    JOB_PROBER,
    METRIC_PAIR,
    METRIC_REGION,
    METRIC_RUNBOOK,
    METRIC_SERVICE,
    METRIC_SEVERITY,
    METRIC_SLI,
    METRIC_SLO,
    METRIC_TRAFFIC,
    RECORD_BAD,
    RECORD_BUDGET_LEFT,
    RECORD_EVENTS,
    RECORD_PRESENT,
    SEVERITY_PAGE,
    SEVERITY_TICKET,
)
from vitalops.slo.catalogue import exporter_of
from vitalops.slo.conditions import Evidence, budget_of, conditions_of, labels_of
from vitalops.slo.emit import alert, plain
from vitalops.slo.infrastructure import ACTIVE_REGION
from vitalops.slo.objectives import Slo
from vitalops.slo.promql import number, selector
from vitalops.slo.recording import Service
from vitalops.slo.sources import metrics_of
from vitalops.slo.windows import BASE, DAY, MINUTE

IDENTITY = ", ".join((METRIC_SLO, METRIC_SLI, METRIC_SERVICE, METRIC_REGION, METRIC_PAIR, METRIC_TRAFFIC))
"""Labels that tell one objective's alert from another's."""
ABSENT_FOR = 90
"""Seconds: longer than a pod takes to be replaced."""
ABSENT_KEEP = 120
"""Seconds that an SLI must be there again, so that a pod that starts over and over is one alert."""
MEASURED_SHARE = 0.1
"""Of its window's minutes, so many must have been measured before a budget counts as spent: the first bad minutes
after a platform was set up are told by burn alerts, and say little about a month."""
FROZEN = -1
"""Value of an alert that stays because its SLI cannot be measured; burn is never negative."""


def burn(service: Service, slo: Slo, severity: str, labels: Mapping[str, str]) -> Iterator[str]:
    """One alert of all conditions of a severity, so that one incident is one alert."""
    conditions = conditions_of(slo, service.windows, severity)
    if not conditions:
        return
    own = labels_of(slo)
    burning = "\nor ".join(f"(\n{condition.promql(own)}\n)" for condition in conditions)
    present = selector(RECORD_PRESENT, {METRIC_SLO: slo.id})
    firing = selector(
        "ALERTS",
        {"alertname": ALERT_BURN, "alertstate": "firing", METRIC_SEVERITY: severity, METRIC_SLO: slo.id},
    )
    frozen = f"{FROZEN} * max by ({IDENTITY}) ({firing})\nand on () ({present} == 0)"
    expression = f"{burning}\nor (\n{frozen}\n)"
    limits = " or ".join(
        f"{number(round(each.rate, 2))} over {each.window.long_name} and {each.window.short_name}"
        for each in conditions
    )
    yield alert(
        ALERT_BURN,
        _unless_planned(service, expression),
        _labels(slo, severity, labels),
        {
            "summary": f"{slo.service}: {slo.sli_name} "
            "{{ if lt $value 0.0 }}was burning its error budget and cannot be measured now"
            "{{ else }}burns its error budget at {{ $value | humanize }} times the rate it allows{{ end }}",
            "description": f"Objective: {_percent(slo.objective)} over {slo.window_days} days. "
            f"It alerts above {limits}. "
            f"{_queried(slo, 'clamp_min({}, 0)', 'Left of the error budget: ', ' | humanizePercentage', '. ')}"
            f"{{{{ if lt $value 0.0 }}}}Its series are gone: the alert stays as it was until they are "
            "back.{{ end }}",
            **_common(slo),
        },
    )


def absent(service: Service, slo: Slo, labels: Mapping[str, str], *, probed: bool) -> Iterator[str]:
    """The series behind an SLI are gone. Series that are there and count nothing are a quiet night, and no alert."""
    expression = f"{selector(RECORD_PRESENT, {METRIC_SLO: slo.id})} == 0"
    wait = ABSENT_FOR
    if any(exporter_of(metric) == JOB_PROBER for metric in metrics_of(slo.sli)):
        if not probed:
            return
        # Only the active region has a prober; after a failover it takes a while to start there.
        expression = f"{expression}\nand on () ({ACTIVE_REGION})"
        wait = 2 * ABSENT_FOR
    yield alert(
        ALERT_SLI_ABSENT,
        _unless_planned(service, expression, "2m"),
        _labels(slo, SEVERITY_PAGE if slo.pages else SEVERITY_TICKET, labels),
        {
            "summary": f"{slo.service}: {slo.sli_name} cannot be measured",
            "description": "Its series are gone, so that nobody would be told if it were bad. Alerts on its error "
            "budget stay as they were.",
            **_common(slo),
        },
        wait=wait,
        keep=ABSENT_KEEP,
    )


def exhausted(slo: Slo, labels: Mapping[str, str], significance: float) -> Iterator[str]:
    """The whole error budget is spent, by more failures than chance, and not just of the first hours of measuring."""
    own, window = labels_of(slo), f"{slo.window_days}d"
    evidence = Evidence.of(slo.sli.minimum_failures or 1, budget_of(slo), significance)
    enough = evidence.promql(selector(RECORD_EVENTS + window, own), selector(RECORD_BAD + window, own))
    fewest = ceil(MEASURED_SHARE * slo.window_days * DAY / MINUTE)
    yield alert(
        ALERT_EXHAUSTED,
        f"{selector(RECORD_BUDGET_LEFT, own)} <= 0\nand {enough}\n"
        f"and count_over_time({selector(RECORD_EVENTS + BASE, own)}[{window}]) >= {fewest}",
        _labels(slo, SEVERITY_TICKET, labels),
        {
            "summary": f"{slo.service}: the error budget of {slo.sli_name} is spent",
            "description": f"Objective: {_percent(slo.objective)} over {slo.window_days} days. "
            f"{_queried(slo, '1 - {}', 'Its error budget is spent ', ' | humanize', ' times over.')}",
            **_common(slo),
        },
    )


def _unless_planned(service: Service, expression: str, afterwards: str = "") -> str:
    if not service.planned:
        return expression
    return f"(\n{expression}\n)\nunless on () ({service.while_planned(afterwards)})"


def _labels(slo: Slo, severity: str, labels: Mapping[str, str]) -> dict[str, str]:
    return {
        METRIC_SEVERITY: severity,
        **labels,
        METRIC_TRAFFIC: slo.sli.traffic,
        METRIC_RUNBOOK: slo.sli.runbook,
    }


def _common(slo: Slo) -> dict[str, str]:
    return {"notices": plain(slo.sli.description), METRIC_RUNBOOK: slo.sli.runbook}


def _queried(slo: Slo, expression: str, before: str, form: str, after: str) -> str:
    """What is left of the budget when the alert is told, put into words; nothing where it is not known."""
    query = expression.format(f"{RECORD_BUDGET_LEFT}{{slo='{slo.id}'}}")
    return f'{{{{ with query "{query}" }}}}{before}{{{{ . | first | value{form} }}}}{after}{{{{ end }}}}'


def _percent(share: float) -> str:
    return f"{number(round(share * 100, 6))} %"
