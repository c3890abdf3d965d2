"""Alerts: a measurement that somebody has to look at becomes a message to the practitioner who treats the patient."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from itertools import product
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.common import metric_names as names
from services.common.audit import record_audit
from services.common.auth import Principal
from services.common.consent_check import consents
from services.common.context import ServiceContext
from services.common.db import when_committed
from services.common.logs import get_logger
from services.common.outbox import enqueue
from services.common.telemetry import Telemetry
from services.common.traffic import TRAFFIC, is_synthetic, label
from services.records.models import MonitorAlert, ResourceRow
from services.records.monitor import Finding

log = get_logger("services.monitor")

CANDIDATES: Final = 5
"""So many practitioners are asked about, most recent first: each costs a question to the consent service."""
RAISED: Final = "raised"


class MonitorMetrics:
    """Counts alerts as they are raised; what becomes of them, notification counts."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._alerts = telemetry.counter(
            names.MONITOR_ALERTS,
            "Alerts of remote monitors, by what became of them",
            (names.LABEL_OUTCOME, names.LABEL_TRAFFIC),
            product((RAISED,), TRAFFIC),
        )

    def raised(self, *, synthetic: bool) -> None:
        """An alert was stored."""
        self._alerts.labels(RAISED, label(synthetic)).inc()


@dataclass(frozen=True, slots=True)
class RecordsState:
    """What the records service holds while it runs."""

    metrics: MonitorMetrics


def raise_alert(
    context: ServiceContext,
    session: Session,
    metrics: MonitorMetrics,
    principal: Principal,
    *,
    patient: str,
    observation: str,
    finding: Finding,
) -> None:
    """Keep an alert and have its practitioner told. The message says neither whose it is nor what was measured.

    Raises ProblemError 503 where it cannot be known whom to tell: the device then sends its measurement again.
    """
    now = context.clock.now()
    practitioner = treating_practitioner(context, session, patient)
    alert = MonitorAlert(
        id=uuid.uuid4(),
        patient=patient,
        observation=observation,
        finding=finding,
        practitioner=practitioner,
        raised_at=now,
    )
    session.add(alert)
    session.flush()
    name = f"monitor-alerts/{alert.id}"
    record_audit(
        session,
        principal,
        "monitor.alert-raised",
        name,
        patient=patient,
        detail={"told": practitioner or "nobody"},
    )
    if practitioner:
        message = {
            "subject": practitioner,
            "template": "monitor-alert",
            "reference": name,
            "occurred_at": now.isoformat(),
        }
        enqueue(session, "notification", "/v1/notifications", message)
    else:
        log.warning("nobody to alert", alert=str(alert.id))
    synthetic = is_synthetic()
    when_committed(session, lambda: metrics.raised(synthetic=synthetic))


def treating_practitioner(context: ServiceContext, session: Session, patient: str) -> str:
    """Who wrote the patient's most recent encounter and still has the consent to their care; empty for nobody."""
    latest = (
        select(ResourceRow.author)
        .where(ResourceRow.type == "Encounter", ResourceRow.patient == patient)
        .group_by(ResourceRow.author)
        .order_by(func.max(ResourceRow.updated_at).desc())
        .limit(CANDIDATES)
    )
    for author in session.scalars(latest).all():
        if consents(context, patient=patient, practitioner=author, purpose="care"):
            return author
    return ""
