"""Ending consultations whose time is over, and counting those that are under way."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Final

from sqlalchemy import func, select

from services.common.auth import Principal
from services.common.context import ServiceContext
from services.consultation.log import append, command, events_of
from services.consultation.metrics import ConsultationMetrics
from services.consultation.models import Consultation
from services.consultation.rules import Kind, outcome_after_time, view

GRACE: Final = timedelta(minutes=30)
"""How long after its end a consultation may still begin or go on without anybody in the room."""
STALE: Final = timedelta(hours=6)
"""How long after its end a consultation is ended even if we believe somebody to be in the room."""
BATCH: Final = 50
SWEEPER: Final = Principal("consultation", "service")


class Sweeper:
    """Looks after consultations that nobody ends."""

    def __init__(self, context: ServiceContext, metrics: ConsultationMetrics) -> None:
        self._context = context
        self._metrics = metrics

    def step(self) -> bool:
        """Look through those whose time is over, one transaction each. Ends nothing on a standby."""
        self._count()
        if self._context.database.role() == "standby":
            return False
        overdue = select(Consultation.id).where(
            Consultation.ended.is_(False), Consultation.ends_at <= self._context.clock.now() - GRACE
        )
        with self._context.database.transaction() as session:
            identifiers = session.scalars(overdue.order_by(Consultation.ends_at).limit(BATCH)).all()
        ended = [self._end(identifier) for identifier in identifiers]
        return len(identifiers) == BATCH and any(ended)

    def _end(self, identifier: uuid.UUID) -> bool:
        now = self._context.clock.now()
        with self._context.unit_of_work() as session:
            one = select(Consultation).where(Consultation.id == identifier, Consultation.ended.is_(False))
            consultation = session.scalar(one.with_for_update(skip_locked=True))
            if consultation is None:
                return False
            current = view(events_of(session, consultation))
            outcome = outcome_after_time(current, stale=consultation.ends_at <= now - STALE)
            if outcome is None:
                return False
            append(session, consultation, [command(Kind.ENDED, now, outcome=outcome)], SWEEPER, self._metrics)
            return True

    def _count(self) -> None:
        under_way = (
            select(Consultation.state, func.count())
            .where(Consultation.ended.is_(False))
            .group_by(Consultation.state)
        )
        with self._context.database.transaction() as session:
            self._metrics.count({str(row[0]): int(row[1]) for row in session.execute(under_way)})
