"""The messages of notification, as those who operate it see them (services/common/queues.py)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from services.common.queues import Depth, seconds
from services.notification.models import Message
from services.notification.rules import Status


class MessageQueue:
    """Messages to people. Those that are due later and were never tried do not wait."""

    name = "messages"

    def depth(self, session: Session, now: datetime) -> Depth:
        waiting, oldest = session.execute(
            select(func.count(), func.min(Message.created_at)).where(
                Message.status == Status.QUEUED, or_(Message.due <= now, Message.attempts > 0)
            )
        ).one()
        failed, first, last = session.execute(
            select(func.count(), func.min(Message.settled_at), func.max(Message.settled_at)).where(
                Message.status == Status.FAILED
            )
        ).one()
        return Depth(self.name, waiting, seconds(oldest), failed, seconds(first), seconds(last))

    def replay(self, session: Session, before: datetime, limit: int, now: datetime) -> int:
        chosen = (
            select(Message.id)
            .where(Message.status == Status.FAILED, Message.settled_at <= before)
            .order_by(Message.created_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        found = list(session.scalars(chosen))
        if found:
            # Sent in the order in which they are due: one after the other, as they were made.
            session.execute(
                update(Message)
                .where(Message.id.in_(found))
                .values(
                    status=Status.QUEUED, attempts=0, due=Message.created_at, last_error="", settled_at=None
                )
            )
        return len(found)


QUEUES = (MessageQueue(),)
