"""The alerts of several regions on one board, oldest first, with what could not be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from vitalops import conventions as c
from vitalops.errors import ExitCode, RemoteError
from vitalops.ports.metrics import AlertSource, FiringAlert

_TOLD: Final = (c.SEVERITY_PAGE, c.SEVERITY_TICKET)


class AlertState(StrEnum):
    FIRING = "firing"
    SILENCED = "silenced"
    """Somebody has silenced it: it goes to nobody."""
    INHIBITED = "inhibited"
    """A graver alert says it already."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One alert as a person reads it."""

    region: str
    """Whose Alertmanager holds it."""
    name: str
    severity: str
    state: AlertState
    since: datetime
    age: timedelta
    service: str
    slo: str
    summary: str
    runbook: str
    labels: Mapping[str, str]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Board:
    """`unreachable` says, by region, why nothing is known of it."""

    alerts: tuple[Notice, ...]
    unreachable: Mapping[str, str]

    @property
    def pages(self) -> bool:
        """Whether a page fires that nobody has silenced."""
        return any(
            notice.severity == c.SEVERITY_PAGE and notice.state is AlertState.FIRING for notice in self.alerts
        )

    def exit_code(self, *, findings: bool) -> ExitCode:
        """With `findings`, a page is a finding, whatever else is unknown; a region that is not reached is never a
        pass."""
        if findings and self.pages:
            return ExitCode.FINDING
        return ExitCode.REMOTE if self.unreachable else ExitCode.PASS


def board(
    sources: Mapping[str, Callable[[], AlertSource]],
    now: datetime,
    *,
    severities: Sequence[str] | None = None,
    everything: bool = False,
) -> Board:
    """Asks all regions at once. Left out, unless `everything`: what only informs, and what another alert says already.

    `severities` keeps those only.
    """
    with ThreadPoolExecutor(max_workers=max(len(sources), 1)) as pool:
        answers = dict(zip(sources, pool.map(_ask, sources.values()), strict=True))
    found: list[Notice] = []
    unreachable: dict[str, str] = {}
    for region, answer in answers.items():
        if isinstance(answer, RemoteError):
            unreachable[region] = str(answer)
            continue
        for alert in answer:
            seen = notice(region, alert, now)
            if severities and seen.severity not in severities:
                continue
            if everything or (seen.state is not AlertState.INHIBITED and (severities or _told(seen))):
                found.append(seen)
    found.sort(key=lambda each: (each.since, each.region, each.fingerprint))
    return Board(tuple(found), unreachable)


def _told(seen: Notice) -> bool:
    return seen.severity in _TOLD


def _ask(connect: Callable[[], AlertSource]) -> tuple[FiringAlert, ...] | RemoteError:
    try:
        return connect().alerts()
    except RemoteError as error:
        return error


def notice(region: str, alert: FiringAlert, now: datetime) -> Notice:
    """What of an alert a person is told."""
    labels, annotations = alert.labels, alert.annotations
    state = AlertState.FIRING
    if alert.state == "suppressed":
        state = AlertState.SILENCED if alert.silenced else AlertState.INHIBITED
    return Notice(
        region=region,
        name=labels.get("alertname", ""),
        severity=labels.get(c.METRIC_SEVERITY, ""),
        state=state,
        since=alert.started,
        age=max(now - alert.started, timedelta()),
        service=labels.get(c.METRIC_SERVICE, ""),
        slo=labels.get(c.METRIC_SLO, ""),
        summary=annotations.get("summary", ""),
        runbook=labels.get(c.METRIC_RUNBOOK, "") or annotations.get(c.METRIC_RUNBOOK, ""),
        labels=labels,
        fingerprint=alert.fingerprint,
    )
