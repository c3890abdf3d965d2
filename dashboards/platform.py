"""The whole platform at a glance: is anybody hurt, and whose budget is it."""

from __future__ import annotations

from dashboards import names
from dashboards.kit import (
    IN_REGION,
    OF_TRAFFIC,
    REGIONS,
    TRAFFIC,
    firing,
    quantile,
    rate,
    series,
    share,
    total,
)
from dashboards.model import Colour, Dashboard, Line, Look, Panel, Query, Section, Unit
from dashboards.objectives import burn, burn_lines, fastest, left, runbooks, slowest
from vitalops import conventions as c
from vitalops.model.platform import Platform

_ANY = (Line(1, Colour.BAD),)


def platform_dashboard(platform: Platform) -> Dashboard:
    return Dashboard(
        "platform",
        "Platform",
        "Start here: alerts, objectives and budgets of every service, as the chosen Prometheus knows them.",
        (_now(), _objectives(platform), _traffic(), _prober()),
        (REGIONS, TRAFFIC),
    )


def _now() -> Section:
    def number(title: str, tells: str, expr: str, lines: tuple[Line, ...] = _ANY) -> Panel:
        return Panel(title, tells, Unit.COUNT, (Query(expr),), Look.NUMBER, 4, 4, lines)

    severity = c.METRIC_SEVERITY
    return Section(
        "Now",
        (
            number(
                "Pages firing",
                "Alerts that woke somebody. A zero needs the watchdog alert, which proves that rules are evaluated.",
                firing(IN_REGION, f'{severity}="{c.SEVERITY_PAGE}"'),
            ),
            number(
                "Tickets firing",
                "Alerts that can wait for the morning.",
                firing(IN_REGION, f'{severity}="{c.SEVERITY_TICKET}"'),
                (Line(1, Colour.WARNING),),
            ),
            number(
                "Budgets exhausted",
                "Objectives whose error budget is spent: no risky change until it is back.",
                f"sum({left(IN_REGION)} <= bool 0)",
            ),
            number(
                "SLIs not measured",
                "Objectives whose metric has disappeared. Their alerts freeze: nobody knows how patients are served.",
                f"sum(1 - {series(c.RECORD_PRESENT, IN_REGION)})",
            ),
            number(
                "Targets down",
                "Programs that Prometheus can not scrape.",
                f"sum(1 - {series(names.UP, IN_REGION)})",
            ),
            number(
                "Planned work",
                "Services under planned work: they neither page nor count against budgets.",
                f"sum({series(c.RECORD_PLANNED, IN_REGION)}) or 0 * count({series(c.RECORD_OBJECTIVE, IN_REGION)})",
                (Line(1, Colour.PLANNED),),
            ),
        ),
    )


def _objectives(platform: Platform) -> Section:
    by = f"{c.METRIC_SLO}, {c.METRIC_SERVICE}, {c.METRIC_SLI}, {c.METRIC_REGION}"
    table = Panel(
        "Objectives",
        "Each objective with what is left of its budget and how fast it is being spent. Sort by burn: above 1 the"
        " budget ends before its period does.",
        Unit.SHARE,
        (
            Query(f"max by ({by}) ({series(c.RECORD_OBJECTIVE, IN_REGION)})", "objective", unit=Unit.SHARE),
            Query(
                left(IN_REGION),
                "budget left",
                Colour.BAD,
                Unit.SHARE,
                (Line(0, Colour.WARNING), Line(0.25, Colour.GOOD)),
            ),
            *(
                Query(
                    burn(window, IN_REGION),
                    f"burn {window}",
                    unit=Unit.MULTIPLE,
                    lines=burn_lines(platform),
                )
                for window in (fastest(), slowest())
            ),
        ),
        Look.TABLE,
        14,
        12,
        service_label=c.METRIC_SERVICE,
    )
    lowest = Panel(
        "Budgets, the ten lowest",
        "What is left of the error budgets that are nearest to their end; below zero they are overspent.",
        Unit.SHARE,
        (Query(f"bottomk(10, {left(IN_REGION)})", "{{slo}} {{region}}"),),
        Look.LINES,
        10,
        12,
        (Line(0, Colour.WARNING), Line(0.25, Colour.GOOD)),
        Colour.BAD,
        high=1,
    )
    return Section("Objectives", (table, lowest), runbooks(platform))


def _traffic() -> Section:
    responses = (IN_REGION, OF_TRAFFIC)
    by_service = total(rate(names.BACKEND_RESPONSES, *responses), "proxy")
    errors = total(rate(names.BACKEND_RESPONSES, *responses, 'code="5xx"'), "proxy")
    return Section(
        "Traffic",
        (
            Panel(
                "Requests by service",
                "What the gateways forward. A service that falls to nothing while others do not is cut off.",
                Unit.REQUESTS_PER_SECOND,
                (Query(f"topk(15, {by_service})", "{{proxy}}"),),
                Look.STACKED,
                12,
                service_label="proxy",
            ),
            Panel(
                "Server errors by service",
                "Share of requests that ended in a server error, of the fifteen services with most.",
                Unit.SHARE,
                (Query(f"topk(15, {share(errors, by_service)})", "{{proxy}}"),),
                Look.LINES,
                12,
                service_label="proxy",
                low=0,
            ),
        ),
    )


def _prober() -> Section:
    walks = total(f"increase({series(names.WALKS, IN_REGION)}[15m])", "outcome", c.METRIC_REGION)
    return Section(
        "Synthetic consultations",
        (
            Panel(
                "Walks in a quarter of an hour",
                "Synthetic consultations from sign-in to prescription. Failed ones at night mean that no patient"
                " could be seen either.",
                Unit.COUNT,
                (Query(walks, "{{outcome}} {{region}}"),),
                low=0,
            ),
            Panel(
                "Duration of walks",
                "From sign-in to prescription: the whole platform's speed in one figure.",
                Unit.SECONDS,
                tuple(
                    Query(
                        quantile(q, names.WALK_SECONDS, IN_REGION, by=(c.METRIC_REGION,), window="15m"),
                        f"p{100 * q:g} {{{{region}}}}",
                    )
                    for q in (0.5, 0.95)
                ),
                low=0,
            ),
            Panel(
                "Since the last walk",
                "Seconds since the prober last finished a walk. Growing: the prober itself is broken.",
                Unit.SECONDS,
                (
                    Query(
                        f"time() - max by ({c.METRIC_REGION}) ({series(names.LAST_WALK, IN_REGION)})",
                        "{{region}}",
                    ),
                ),
                low=0,
            ),
        ),
    )
