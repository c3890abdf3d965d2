"""An incident: one firing of one alert, from the first notice of it until Alertmanager says that it has ended."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from runbooks.serve.notice import Notice
from vitalops import conventions as c


class IncidentState(StrEnum):
    """What was done about it. All but RECEIVED are final."""

    RECEIVED = "received"
    """Stored; nothing has been done yet."""
    STARTED = "started"
    """A runbook was started: how it goes on is in the run."""
    FILED = "filed"
    """A run waits for approval."""
    UNANSWERED = "unanswered"
    """No runbook answers this alert: it is for a person."""
    REFUSED = "refused"
    """The runbook would not start, and says why."""
    PASSED = "passed"
    """It had ended before anything was done."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Times are seconds since 1970; 0 where that has not happened."""

    id: str
    key: str
    pair: str
    """Whose Alertmanager told: the pair of its token."""
    labels: Mapping[str, str]
    summary: str
    started: float
    received: float
    resolved: float
    state: IncidentState
    runbook: str
    run: str
    detail: str
    notices: int
    """How often it was told."""

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "")

    @property
    def region(self) -> str:
        return self.labels.get(c.METRIC_REGION, "")

    @property
    def severity(self) -> str:
        return self.labels.get(c.METRIC_SEVERITY, "")

    @property
    def target(self) -> str:
        """As runs write theirs."""
        return f"region/{self.region}" if self.region else f"pair/{self.pair}"

    @property
    def is_open(self) -> bool:
        return not self.resolved


def incident_id(key: str) -> str:
    """The same on every machine and after every restart."""
    return f"incident-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def informs_only(notice: Notice) -> bool:
    """Whether nobody has to do anything: the watchdog that says that alerting works, and planned work."""
    return notice.name == c.ALERT_WATCHDOG or notice.labels.get(c.METRIC_SEVERITY) == c.SEVERITY_NONE
