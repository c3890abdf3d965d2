"""Transactional outbox: a message for another service is stored with the effect it tells of, and sent later.

Delivery is at least once: the receiver knows a repeated message by its Idempotency-Key (the message's id).
Rows are leased, not locked, while they are under way, so no connection is held during a call and a crash only
delays them.
"""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from opentelemetry.trace import Link, SpanKind
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from services.common.clock import Clock
from services.common.db import Database, when_committed
from services.common.idempotency import purge_keys
from services.common.logs import get_logger
from services.common.problems import ProblemError
from services.common.service_client import ServiceClient
from services.common.tables import OUTBOX
from services.common.telemetry import Telemetry
from services.common.tracing import PROPAGATOR, TRACEPARENT, parse
from services.common.traffic import is_synthetic, traffic

log = get_logger("services.outbox")

BATCH = 50
LEASE = timedelta(seconds=30)
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0
PURGE_EVERY = timedelta(minutes=10)
# The message itself is wrong: sending it again cannot help.
_REFUSED_FOR_GOOD = frozenset({400, 405, 410, 413, 415, 422})


def enqueue(
    session: Session,
    destination: str,
    path: str,
    body: Mapping[str, Any],
    *,
    message_id: str = "",
    batch_field: str = "",
) -> str:
    """Store a message in the caller's transaction; returns its id, which is also its Idempotency-Key.

    `destination` is a service's name. With `batch_field`, messages for one path may be sent together as
    `{batch_field: [body, ...]}`, and the receiver must know repeats by an id inside each body.
    """
    context = session.info["context"]
    identifier = message_id or str(uuid.uuid4())
    carrier: dict[str, str] = {}
    PROPAGATOR.inject(carrier)
    now = context.clock.now()
    session.execute(
        insert(OUTBOX).values(
            id=identifier,
            destination=destination,
            path=path,
            batch_field=batch_field,
            body=dict(body),
            traceparent=carrier.get(TRACEPARENT, ""),
            created_at=now,
            next_attempt_at=now,
            attempts=0,
            dead=False,
            last_error="",
            synthetic=is_synthetic(),
        )
    )
    when_committed(session, context.wake_relay)
    return identifier


def pause_after(attempts: int, jitter: Callable[[], float] = random.random) -> timedelta:
    """Pause before the next attempt: doubling from half a second to a minute, give or take a fifth."""
    seconds = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(attempts - 1, 16))
    return timedelta(seconds=seconds * (0.8 + 0.4 * jitter()))


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in the outbox."""

    pending: int = 0
    dead: int = 0
    oldest_seconds: float = 0.0


class Relay:
    """Delivers what is due. Several may run on one database: they skip each other's rows."""

    def __init__(self, database: Database, client: ServiceClient, telemetry: Telemetry, clock: Clock) -> None:
        self._database = database
        self._client = client
        self._telemetry = telemetry
        self._clock = clock
        self._purged_at: datetime | None = None
        self.backlog = Backlog()

    def step(self) -> bool:
        """Deliver one batch; True when there may be more. Does nothing where the database is a standby."""
        if self._database.role() == "standby":
            self.backlog = Backlog()
            return False
        messages = self._claim()
        # A stable sort keeps the order of creation inside each group.
        ordered = sorted(messages, key=_target)
        for target, group in groupby(ordered, key=_target):
            rows = list(group)
            if target[2] and len(rows) > 1:
                self._deliver_together(rows)
            else:
                for row in rows:
                    self._deliver(row)
        self._measure_and_purge()
        return len(messages) == BATCH

    def _claim(self) -> Sequence[Any]:
        now = self._clock.now()
        due = (
            select(OUTBOX)
            .where(OUTBOX.c.dead.is_(False), OUTBOX.c.next_attempt_at <= now)
            .order_by(OUTBOX.c.created_at)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
        with self._database.transaction() as session:
            rows = session.execute(due).all()
            if rows:
                session.execute(
                    update(OUTBOX)
                    .where(OUTBOX.c.id.in_([row.id for row in rows]))
                    .values(next_attempt_at=now + LEASE, attempts=OUTBOX.c.attempts + 1)
                )
        return rows

    def _deliver(self, row: Any) -> None:
        body = {row.batch_field: [row.body]} if row.batch_field else row.body
        self._settle([row], self._send([row], body, row.id))

    def _deliver_together(self, rows: list[Any]) -> None:
        first = rows[0]
        key = hashlib.sha256("".join(row.id for row in rows).encode()).hexdigest()
        body = {first.batch_field: [row.body for row in rows]}
        status = self._send(rows, body, key)
        if status in _REFUSED_FOR_GOOD:
            # One of them is wrong: find out which.
            for row in rows:
                self._deliver(row)
        else:
            self._settle(rows, status)

    def _send(self, rows: list[Any], body: Any, key: str) -> int:
        """The status of the answer, or 0 when there was none.

        The delivery is part of the trace that its message came from; where several traces' messages go together, it
        is a trace of its own, with links to them.
        """
        destination, path, _, synthetic = _target(rows[0])
        origins = {row.traceparent: origin for row in rows if (origin := parse(row.traceparent)) is not None}
        parent = (
            next(iter(origins.values())) if len({each.trace_id for each in origins.values()}) == 1 else None
        )
        links = [] if parent is not None else [Link(origin) for origin in origins.values()]
        with (
            traffic(synthetic),
            self._telemetry.tracer.span(f"deliver {destination}", SpanKind.PRODUCER, parent, links) as span,
        ):
            span.attributes["vitalops.outbox.messages"] = len(rows)
            try:
                status = self._client.post(
                    destination, path, json=body, idempotency_key=key, attempts=1
                ).status_code
            except ProblemError:
                status = 0
            span.failed = _outcome(status) != "delivered"
        self._telemetry.outbox_deliveries.labels(destination, _outcome(status)).inc()
        return status

    def _settle(self, rows: list[Any], status: int) -> None:
        outcome = _outcome(status)
        now = self._clock.now()
        with self._database.transaction() as session:
            for row in rows:
                this = OUTBOX.c.id == row.id
                if outcome == "delivered":
                    session.execute(delete(OUTBOX).where(this))
                    continue
                reason = f"HTTP {status}" if status else "no answer"
                session.execute(
                    update(OUTBOX)
                    .where(this)
                    .values(
                        dead=outcome == "refused",
                        last_error=reason,
                        # Given up: never due again, so the time says when that was (services/common/queues.py).
                        next_attempt_at=now if outcome == "refused" else now + pause_after(row.attempts + 1),
                    )
                )
                if outcome == "refused":
                    log.error("message refused", destination=row.destination, message=row.id, reason=reason)

    def _measure_and_purge(self) -> None:
        now = self._clock.now()
        with self._database.transaction() as session:
            pending, oldest = session.execute(
                select(func.count(), func.min(OUTBOX.c.created_at)).where(OUTBOX.c.dead.is_(False))
            ).one()
            dead = session.scalar(select(func.count()).where(OUTBOX.c.dead.is_(True))) or 0
            if self._purged_at is None or now - self._purged_at >= PURGE_EVERY:
                purge_keys(session, now)
                self._purged_at = now
        age = (now - oldest).total_seconds() if oldest else 0.0
        self.backlog = Backlog(pending=pending, dead=dead, oldest_seconds=max(0.0, age))


def _target(row: Any) -> tuple[str, str, str, bool]:
    """What messages that go together have in common."""
    return (row.destination, row.path, row.batch_field, row.synthetic)


def _outcome(status: int) -> str:
    if 200 <= status < 300:
        return "delivered"
    return "refused" if status in _REFUSED_FOR_GOOD else "failed"
