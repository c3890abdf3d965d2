"""The alerts' part of the dashboard: what fires, what it means and which runbook answers it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from cli.watch.words import ago, clock, line
from vitalops import conventions as c
from vitalops.ports.metrics import FiringAlert
from vitalops.watch.snapshot import RegionView

if TYPE_CHECKING:
    from rich.text import Text

_RANK: Final = {c.SEVERITY_PAGE: 0, c.SEVERITY_TICKET: 1}
_STYLES: Final = {c.SEVERITY_PAGE: "bold red", c.SEVERITY_TICKET: "yellow"}


def alert_lines(regions: Sequence[RegionView], at: datetime) -> list[Text]:
    """Pages first, the oldest of each first. The watchdog is no news; that it is missing is."""
    firing = sorted(
        (
            alert
            for region in regions
            # What fired when a region last answered may have ended long ago.
            if not region.alerts.problem
            for alert in region.alerts.value or ()
            if alert.labels.get("alertname") != c.ALERT_WATCHDOG
        ),
        key=lambda alert: (
            _RANK.get(alert.labels.get(c.METRIC_SEVERITY, ""), 2),
            alert.started,
            alert.fingerprint,
        ),
    )
    unknown = [region for region in regions if region.alerts.problem]
    answering = [
        region for region in regions if region.alerts.value is not None and not region.alerts.problem
    ]
    if not answering:
        said, style = ("unknown", "yellow") if unknown else ("asking …", "dim")
    else:
        said = f"{len(firing)} firing" if firing else "none firing"
        style = "" if firing or len(answering) < len(regions) else "green"
        if len(answering) < len(regions):
            said += f" as far as {', '.join(region.name for region in answering)} says"
    lines = [line(("ALERTS  ", "bold"), (said, style))]
    lines += [line((f"  {_unknown(region)}", "yellow")) for region in unknown]
    lines += [
        line((f"  {region.name}: no {c.ALERT_WATCHDOG} alert: its alerting does not work", "red"))
        for region in answering
        if _is_silent(region)
    ]
    return [*lines, *(_alert(alert, at) for alert in firing)]


def _unknown(region: RegionView) -> str:
    since = f" since {clock(region.alerts.since)}" if region.alerts.since else ""
    return f"{region.name}: alerts unknown{since}: {region.alerts.problem}"


def _is_silent(region: RegionView) -> bool:
    return not any(alert.labels.get("alertname") == c.ALERT_WATCHDOG for alert in region.alerts.value or ())


def _alert(alert: FiringAlert, at: datetime) -> Text:
    severity = alert.labels.get(c.METRIC_SEVERITY, "?")
    quiet = alert.state == "suppressed"
    name = alert.labels.get("alertname", "?")
    where = alert.labels.get(c.METRIC_REGION, "")
    words = alert.annotations.get("summary", "")
    runbook = alert.labels.get(c.METRIC_RUNBOOK) or alert.annotations.get(c.METRIC_RUNBOOK, "")
    return line(
        (f"  {severity:<7}", "dim" if quiet else _STYLES.get(severity, "")),
        f"{ago(at, alert.started):>10}  {where}  ",
        (name, "bold"),
        f" -> {runbook}" if runbook else "",
        ("  silenced" if quiet else "", "dim"),
        f"  {words}",
    )
