"""What an objective means, down to the series it is counted from and the burn that alerts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from vitalops.conventions import SEVERITY_PAGE, SEVERITY_TICKET
from vitalops.errors import UsageError
from vitalops.slo.conditions import Burn, budget_of, conditions_of
from vitalops.slo.objectives import Slo
from vitalops.slo.sources import source_of
from vitalops.slo.windows import Windows
from vitalops.suggest import closest


@dataclass(frozen=True, slots=True)
class Condition:
    """Burn that alerts: above `burn` in both windows, by at least `minimum_failures` in the short one.

    `detects_outage_in` is in seconds, from the first failure of a full outage under steady traffic; scraping,
    evaluation and grouping come on top.
    """

    severity: str
    long: str
    short: str
    burn: float
    budget_spent: float
    minimum_failures: int
    detects_outage_in: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """`good` or `bad` is the series that is counted beside `total`; the other is None."""

    slo: str
    service: str
    sli: str
    description: str
    kind: str
    traffic: str
    runbook: str
    objective: float
    window_days: int
    budget: float
    """Share of events that may be bad."""
    full_outage: float
    """Seconds of full outage under steady traffic that spend the whole budget."""
    total: str
    good: str | None
    bad: str | None
    conditions: tuple[Condition, ...]


def explain(slo: Slo, windows: Windows) -> Explanation:
    source = source_of(slo)
    conditions = tuple(
        _condition(each)
        for severity in (SEVERITY_PAGE, SEVERITY_TICKET)
        for each in conditions_of(slo, windows, severity)
    )
    return Explanation(
        slo=slo.id,
        service=slo.service,
        sli=slo.sli_name,
        description=slo.sli.description,
        kind=slo.sli.kind,
        traffic=slo.sli.traffic,
        runbook=slo.sli.runbook,
        objective=slo.objective,
        window_days=slo.window_days,
        budget=budget_of(slo),
        full_outage=budget_of(slo) * timedelta(days=slo.window_days).total_seconds(),
        total=source.total,
        good=source.good,
        bad=source.bad,
        conditions=conditions,
    )


def _condition(burn: Burn) -> Condition:
    """Detection time = (1 - SLO) / error rate x long window x burn, the error rate of a full outage being 1.

    Source: Google SRE Workbook, chapter 5, "Alerting on SLOs".
    """
    return Condition(
        severity=burn.window.severity,
        long=burn.window.long_name,
        short=burn.window.short_name,
        burn=burn.rate,
        budget_spent=float(burn.window.budget_spent),
        minimum_failures=burn.minimum,
        detects_outage_in=burn.budget * burn.window.long * burn.rate,
    )


def find(slos: tuple[Slo, ...], name: str) -> Slo:
    """The objective called `name`, as in `records-answered`. Raises UsageError where there is none."""
    for slo in slos:
        if slo.id == name:
            return slo
    near = closest(name, [slo.id for slo in slos])
    hint = f"did you mean {near!r}?" if near else "vitalops slo list shows them: SERVICE-SLI"
    raise UsageError(f"unknown objective {name!r}", hint=hint)
