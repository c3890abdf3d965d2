"""`vitalops alerts`: what fires, in every region."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli import complete, context
from cli.examples import examples
from cli.output import emit, paint, table
from vitalops import conventions as c

if TYPE_CHECKING:
    from vitalops.model.platform import Platform
    from vitalops.observe.board import Board, Notice
    from vitalops.ports.metrics import AlertSource


class Severity(StrEnum):
    PAGE = c.SEVERITY_PAGE
    TICKET = c.SEVERITY_TICKET
    NONE = c.SEVERITY_NONE


@examples(
    "vitalops alerts",
    "vitalops alerts --region fr-par --severity page",
    "vitalops alerts --exit-code",
    "vitalops alerts --all --output json | jq '.alerts[].name'",
)
def alerts(
    region: Annotated[
        list[str] | None,
        typer.Option("--region", help="Only this region; may be repeated.", autocompletion=complete.regions),
    ] = None,
    severity: Annotated[
        list[Severity] | None,
        typer.Option("--severity", help="Only alerts of this severity; may be repeated."),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Also what only informs, and what another alert says already."),
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 when a page fires that nobody has silenced.")
    ] = False,
) -> None:
    """Show the alerts that fire, oldest first, with their age and runbook. Silenced ones are marked.

    Exits with 3 when a region does not answer: nothing is known of it then.
    """
    from vitalops.model.selection import resolve_regions
    from vitalops.observe.board import board

    platform = context.current().load_platform()
    names = resolve_regions(platform, region or [])
    found = board(
        {name: _source(platform, name) for name in names},
        datetime.now(UTC),
        severities=severity,
        everything=everything,
    )
    emit(found, _render)
    code = found.exit_code(findings=exit_code)
    if code:
        raise typer.Exit(code)


def _source(platform: Platform, region: str) -> Callable[[], AlertSource]:
    def connect() -> AlertSource:
        from infra.operations.observe import Backend, through
        from infra.program.access import connect as reach
        from vitalops.observe.alertmanager import AlertmanagerAlerts
        from vitalops.paths import Paths

        found = through(reach(platform, Paths.from_environment(), region), Backend.ALERTMANAGER)
        return AlertmanagerAlerts(region, found.base_url, found.session)

    return connect


def _render(found: Board) -> str:
    lines = [paint(problem, "red") for problem in found.unreachable.values()]
    if found.alerts:
        header = ("age", "severity", "state", "region", "alert", "summary", "runbook")
        lines.append(table(header, [_row(each) for each in found.alerts]))
    elif not found.unreachable:
        lines.append("no alerts")
    return "\n".join(lines)


def _row(each: Notice) -> tuple[str, ...]:
    return (
        age(each.age),
        each.severity,
        each.state.value,
        each.region,
        each.name,
        each.summary,
        each.runbook,
    )


def age(span: timedelta) -> str:
    """The two largest units: 45s, 12m 5s, 3h 20m, 2d 4h."""
    seconds = int(span.total_seconds())
    parts = [
        (seconds // 86400, "d"),
        (seconds // 3600 % 24, "h"),
        (seconds // 60 % 60, "m"),
        (seconds % 60, "s"),
    ]
    while len(parts) > 1 and parts[0][0] == 0:
        parts.pop(0)
    return " ".join(f"{count}{unit}" for index, (count, unit) in enumerate(parts[:2]) if count or index == 0)
