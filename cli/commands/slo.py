"""`vitalops slo`: objectives, their budgets and the rules that are compiled from them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import complete, context
from cli.examples import examples
from cli.output import emit, table

if TYPE_CHECKING:
    from vitalops.model.platform import Platform
    from vitalops.slo.explain import Explanation
    from vitalops.slo.export import WrittenRules
    from vitalops.slo.objectives import Slo

app = typer.Typer(help="Service level objectives: budgets, and what is declared.")

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SHORTEST = timedelta(hours=1)


@app.command()
@examples(
    "vitalops slo status",
    "vitalops slo status --region fr-par --window 7d",
    "vitalops slo status --service records --output json | jq '.slos[].budget_left'",
    "vitalops slo status --prometheus http://localhost:9090 --region fr-par",
)
def status(
    region: Annotated[
        list[str] | None,
        typer.Option(
            "--region", help="Only this region, on its own; may be repeated.", autocompletion=complete.regions
        ),
    ] = None,
    pair: Annotated[
        str | None,
        typer.Option(
            "--pair",
            help="Only this pair, its regions joined by their traffic.",
            autocompletion=complete.pairs,
        ),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option("--service", help="Only this service.", autocompletion=complete.services),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(
            "--window", metavar="SPAN", help="Instead of the objectives' own window: 12h, 7d. From 1h on."
        ),
    ] = None,
    prometheus: Annotated[
        list[str] | None,
        typer.Option(
            "--prometheus",
            metavar="[REGION=]URL",
            help="Ask this Prometheus instead of the regions' own; may be repeated.",
        ),
    ] = None,
) -> None:
    """Show each error budget: attained, left, burn, when it will be spent. Worst first.

    Real traffic counts; for objectives over the prober's walks, synthetic traffic. BURN is the share of bad events over
    the share that may be bad: 1 spends a budget in exactly its window. LASTS is at the current burn. An asterisk marks
    numbers that lack a region.

    Exits with 1 when a budget is spent, whatever else could not be measured; else with 3 when a region is unreachable
    or stale, or an objective is absent or frozen (its series are missing, or went missing); else with 0. An objective
    without traffic is no fault. The prober walks in a pair's active region only: in the other, on its own, objectives
    over its walks are absent.
    """
    from cli.scopes import scopes_of
    from cli.slo_table import render
    from cli.sources import scrape_interval, sources
    from vitalops.slo.status import Question, slo_status

    platform = context.current().load_platform()
    scopes = scopes_of(platform, region, pair, service)
    regions = tuple(dict.fromkeys(name for scope in scopes for name in scope.regions))
    question = Question(
        datetime.now(UTC).replace(microsecond=0), scrape_interval(platform), _span(platform, window), service
    )
    report = slo_status(sources(platform, regions, prometheus or ()), scopes, question)
    emit(report, render)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


@app.command("list")
@examples("vitalops slo list", "vitalops slo list --output json")
def list_objectives(
    service: Annotated[
        str | None,
        typer.Option("--service", help="Only this service.", autocompletion=complete.services),
    ] = None,
) -> None:
    """Show every objective as platform.yaml declares it."""
    from cli.scopes import require_service
    from vitalops.slo.objectives import objectives_of

    platform = context.current().load_platform()
    require_service(platform, service)
    emit([slo for slo in objectives_of(platform) if service in (None, slo.service)], _render_declared)


def _render_declared(slos: list[Slo]) -> str:
    from cli.slo_text import objective

    rows = [
        (
            slo.service,
            slo.sli_name,
            objective(slo.objective),
            f"{slo.window_days} d",
            "pages" if slo.pages else "tickets",
            slo.sli.description,
        )
        for slo in slos
    ]
    return table(("service", "sli", "objective", "window", "alerts", "what it measures"), rows)


@app.command()
@examples("vitalops slo explain records-answered", "vitalops slo explain records-answered --output json")
def explain(
    name: Annotated[str, typer.Argument(metavar="SLO", help="An objective, as SERVICE-SLI.")],
) -> None:
    """Show what an objective means: its definition, the series it is counted from, and the burn that alerts."""
    from vitalops.slo.explain import explain as explained
    from vitalops.slo.explain import find
    from vitalops.slo.objectives import objectives_of
    from vitalops.slo.windows import bundled_windows

    slo = find(objectives_of(context.current().load_platform()), name)
    emit(explained(slo, bundled_windows()), _render_explanation)


def _render_explanation(told: Explanation) -> str:
    from cli.slo_text import duration, objective

    rows = [
        (
            each.severity,
            f"{each.burn:.4g}",
            each.long,
            each.short,
            f"{each.budget_spent:.0%}",
            each.minimum_failures,
            duration(math.ceil(each.detects_outage_in)),
        )
        for each in told.conditions
    ]
    headers = ("alert", "burn above", "over", "and", "of budget", "failures", "full outage after")
    counted = ("bad events", told.bad) if told.bad else ("good events", told.good)
    return "\n".join(
        [
            f"{told.slo}: {objective(told.objective)} over {told.window_days} days",
            f"  {told.description}",
            f"  budget: {objective(told.budget)} of events, or {duration(told.full_outage)} of full outage",
            f"  runbook: {told.runbook}",
            f"  counts: {told.traffic} traffic, as a {told.kind}",
            f"  events: {told.total}",
            f"  {counted[0]}: {counted[1]}",
            table(headers, rows) if rows else "no burn alerts: this objective cannot burn fast enough",
        ]
    )


@app.command("rules")
@examples(
    "vitalops slo rules --out rules",
    "vitalops slo rules --out rules --region fr-par --check",
    "vitalops slo rules --out rules --output json | jq '.[].files'",
)
def write_rules(
    out: Annotated[
        Path, typer.Option("--out", help="Folder to write, with one folder in it for each region.")
    ],
    region: Annotated[
        list[str] | None,
        typer.Option(
            "--region",
            help="Only this region; may be repeated. All that are in a pair where not given.",
            autocompletion=complete.regions,
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Have promtool check what was written; installed where missing.")
    ] = False,
) -> None:
    """Write Prometheus's recording and alerting rules, compiled from the objectives.

    `vitalops up` gives the regions the same files. With --check, exits with 1 where promtool refuses one.
    """
    from vitalops.slo.export import check_rules
    from vitalops.slo.export import write_rules as write

    platform = context.current().load_platform()
    paired = [name for pair in platform.pairs.values() for name in (pair.primary, pair.standby)]
    written = write(platform, dict.fromkeys(region or paired), out)
    if check:
        from cli.progress import progress
        from infra.local.toolchain.system import ensure_system

        with progress() as steps:
            check_rules(ensure_system(["promtool"], steps)["promtool"], written)
    emit(written, _render_written)


def _render_written(written: tuple[WrittenRules, ...]) -> str:
    rows = [
        (each.region, len(each.files), each.records, each.alerts, f"{each.size / 1000:.0f} kB", each.folder)
        for each in written
    ]
    return table(("region", "files", "records", "alerts", "size", "folder"), rows)


def _span(platform: Platform, text: str | None) -> timedelta | None:
    """A window such as 7d. Raises UsageError for what is none, and for one that no Prometheus holds data of."""
    from vitalops.errors import UsageError

    if text is None:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,4})([mhdw])", text)
    if match is None:
        raise UsageError(f"--window {text!r} is no span of time", hint="give one such as 12h, 7d or 4w")
    span = timedelta(**{_UNITS[match[2]]: int(match[1])})
    kept = timedelta(days=platform.telemetry.retention_days)
    if not _SHORTEST <= span <= kept:
        raise UsageError(
            f"--window {text} is outside of 1h to {kept.days}d",
            hint="telemetry.retention_days in platform.yaml says how long data is kept",
        )
    return span
