"""`vitalops dashboards`: Grafana dashboards, compiled from platform.yaml and its objectives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import complete, context
from cli.examples import examples
from cli.output import emit, paint, table

if TYPE_CHECKING:
    from dashboards.check import Finding
    from dashboards.model import Dashboard
    from vitalops.model.platform import Platform
    from vitalops.paths import Paths
    from vitalops.ports.metrics import MetricsSource

app = typer.Typer(help="Write, list and check the Grafana dashboards of the platform.")


@dataclass(frozen=True, slots=True)
class Listed:
    """One dashboard."""

    slug: str
    uid: str
    title: str
    panels: int
    variables: tuple[str, ...]
    tells: str


@dataclass(frozen=True, slots=True)
class Written:
    folder: Path
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a region's Prometheus has for the panels."""

    region: str
    queries: int
    data: int
    findings: tuple[Finding, ...]
    """Everything but data: faults first."""


@app.command("list")
@examples("vitalops dashboards list", "vitalops dashboards list --output json")
def list_() -> None:
    """Say which dashboards there are, and what each is for."""
    from dashboards.compile import dashboards_of

    found = tuple(
        Listed(
            each.slug,
            each.uid,
            each.title,
            len(list(each.panels)),
            tuple(variable.name for variable in each.variables),
            each.tells,
        )
        for each in dashboards_of(context.current().load_platform())
    )
    emit(found, _render_list)


def _render_list(found: Sequence[Listed]) -> str:
    rows = [(each.slug, each.panels, ", ".join(each.variables), each.tells) for each in found]
    return table(("dashboard", "panels", "variables", "for"), rows)


@app.command()
@examples("vitalops dashboards render --out grafana")
def render(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the files; files of these names are replaced.")
    ],
) -> None:
    """Write one JSON file for each dashboard, as Grafana imports or provisions it.

    The files name no data source of their own: each dashboard has a variable for it.
    """
    from dashboards.compile import compile_dashboards
    from vitalops.errors import UsageError

    files = compile_dashboards(context.current().load_platform())
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (out / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"cannot write {out}: {error.strerror}", hint="name another folder with --out"
        ) from None
    emit(Written(out, tuple(files)), lambda written: f"{len(written.files)} dashboards in {written.folder}")


@app.command()
@examples(
    "vitalops dashboards check",
    "vitalops dashboards check --region fr-gra --dashboard failover-pair",
    "vitalops dashboards check --minutes 15 --output json | jq .[0].data",
)
def check(
    region: Annotated[
        str | None,
        typer.Option(
            help="Region; the active one of each pair that starts by default where not given.",
            autocompletion=complete.regions,
        ),
    ] = None,
    dashboard: Annotated[
        list[str] | None, typer.Option(help="Only these dashboards, by the names of `list`.")
    ] = None,
    minutes: Annotated[int, typer.Option(min=1, max=1440, help="How far back panels look.")] = 60,
) -> None:
    """Ask a region's Prometheus every panel's query, and name the panels that would stay empty.

    Exits with 1 when there are any. Panels of a standby region, or of a platform that nobody uses, are empty by nature:
    check an active region that is in use; of a standby, the dashboard failover-pair.
    """
    from datetime import timedelta

    from dashboards.check import Period, questions
    from dashboards.check import check as ask
    from dashboards.compile import dashboards_of
    from vitalops.model.selection import resolve_regions
    from vitalops.paths import Paths
    from vitalops.ports.clock import SystemClock

    platform = context.current().load_platform()
    pages = _named(dashboards_of(platform), dashboard or ())
    paths = Paths.from_environment()
    chosen = resolve_regions(platform, [region]) if region else _active_regions(platform, paths)
    period = Period(
        SystemClock().now(),
        timedelta(minutes=minutes),
        timedelta(seconds=platform.telemetry.scrape_interval_seconds),
    )
    results: list[Checked] = []
    for name in chosen:
        asked = questions(pages, name, _public_services(platform, name), period)
        found = ask(asked, _source(platform, paths, name), period)
        silent = sorted(
            (each for each in found if each.outcome != "data"), key=lambda each: not each.is_fault
        )
        results.append(Checked(name, len(found), len(found) - len(silent), tuple(silent)))
    emit(results, _render_checked)
    if any(finding.is_fault for result in results for finding in result.findings):
        raise typer.Exit(1)


def _named(pages: Sequence[Dashboard], wanted: Sequence[str]) -> Sequence[Dashboard]:
    from vitalops.errors import UsageError
    from vitalops.suggest import suggestion

    slugs = [page.slug for page in pages]
    for name in wanted:
        if name not in slugs:
            raise UsageError(f"no dashboard is called {name!r}", hint=suggestion(name, slugs))
    return [page for page in pages if page.slug in wanted] if wanted else pages


def _source(platform: Platform, paths: Paths, region: str) -> MetricsSource:
    from infra.operations.observe import Backend, endpoint
    from infra.operations.setting import Setting
    from vitalops.observe.prometheus import PrometheusMetrics

    way = endpoint(Setting(platform, paths, (region,)), region, Backend.PROMETHEUS)
    return PrometheusMetrics(region, way.base_url, way.session)


def _active_regions(platform: Platform, paths: Paths) -> tuple[str, ...]:
    from infra.program.state import active_region
    from vitalops.model.selection import default_pairs

    return tuple(active_region(paths.state, platform.name, pair) for pair in default_pairs(platform))


def _public_services(platform: Platform, region: str) -> tuple[str, ...]:
    """Those that the gateway of `region` leads to: the others have no panels of requests to fill."""
    from vitalops.model.selection import pair_of

    pair = pair_of(platform, region)
    return tuple(
        service.name
        for service in platform.services.values()
        if service.public and (service.pairs is None or (pair is not None and pair.name in service.pairs))
    )


def _render_checked(results: Sequence[Checked]) -> str:
    parts: list[str] = []
    for result in results:
        faults = [finding for finding in result.findings if finding.is_fault]
        excused = len(result.findings) - len(faults)
        word = paint("empty panels", "red") if faults else paint("ok", "green")
        parts.append(
            f"{result.region}  {word}  {result.data} of {result.queries} queries have data,"
            f" {len(faults)} have none, {excused} need none"
        )
        rows = [
            (
                finding.question.dashboard,
                finding.question.panel,
                finding.question.values.get("service", ""),
                f"{finding.outcome}: {finding.detail}",
            )
            for finding in result.findings
        ]
        if rows:
            parts.append(table(("dashboard", "panel", "service", "why"), rows))
    return "\n".join(parts)
