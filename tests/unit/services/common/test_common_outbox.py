"""Messages for other services: stored with their effect, delivered at least once, given up only when refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from opentelemetry.trace import SpanKind
from sqlalchemy import select

from services.common.audit import AuditEntry, record_audit
from services.common.outbox import LONGEST_PAUSE_SECONDS, Backlog, enqueue, pause_after
from services.common.tables import OUTBOX
from services.common.testing import FixedClock
from services.consent.service import SERVICE


@pytest.fixture
def client(start: Callable[..., Any]) -> Any:
    return start(SERVICE)


@pytest.fixture
def context(client: Any) -> Any:
    return client.app.state.context


def rows(context: Any) -> list[Any]:
    with context.database.transaction() as session:
        return list(session.execute(select(OUTBOX).order_by(OUTBOX.c.created_at)).all())


def test_a_message_is_delivered_once_with_its_id_as_key(client: Any, context: Any, platform: Any) -> None:
    seen: list[httpx.Request] = []
    platform.answers["notification"] = lambda request: seen.append(request) or httpx.Response(202)
    with context.unit_of_work() as session:
        identifier = enqueue(session, "notification", "/v1/messages", {"a": 1})
    client.deliver()
    client.deliver()
    assert [request.headers["idempotency-key"] for request in seen] == [identifier]
    assert seen[0].headers["authorization"] == "Bearer t"
    assert rows(context) == []


def test_nothing_is_sent_of_an_effect_that_did_not_happen(client: Any, context: Any, platform: Any) -> None:
    def change_of_mind() -> None:
        with context.unit_of_work() as session:
            enqueue(session, "notification", "/v1/messages", {"a": 1})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change_of_mind()
    client.deliver()
    assert platform.messages == []


def test_failures_are_retried_with_growing_pauses(
    client: Any, context: Any, platform: Any, clock: FixedClock
) -> None:
    statuses = [503, 500, 404, 401, 401, 429, 201]
    tried: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tried.append(request.headers["idempotency-key"])
        return httpx.Response(statuses[min(len(tried), len(statuses)) - 1])

    platform.answers["notification"] = answer
    with context.unit_of_work() as session:
        enqueue(session, "notification", "/v1/messages", {"a": 1})
    client.deliver()
    assert len(tried) == 1
    client.deliver()
    assert len(tried) == 1, "not before its time"
    for _ in range(10):
        clock.advance(seconds=61)
        client.deliver()
    assert len(tried) == len(statuses)
    assert len(set(tried)) == 1, "always the same key"
    assert rows(context) == []


def test_a_refused_message_is_kept_for_a_person(
    client: Any, context: Any, platform: Any, clock: FixedClock
) -> None:
    platform.answers["notification"] = lambda _: httpx.Response(422)
    with context.unit_of_work() as session:
        enqueue(session, "notification", "/v1/messages", {"a": 1})
    for _ in range(3):
        client.deliver()
        clock.advance(minutes=2)
    (row,) = rows(context)
    assert (row.dead, row.attempts, row.last_error) == (True, 1, "HTTP 422")
    assert context.relay.backlog == Backlog(pending=0, dead=1, oldest_seconds=0.0)
    assert 'vitalops_outbox_messages{state="dead"} 1.0' in client.get("/metrics").text


def test_events_travel_together_and_a_bad_one_is_found(client: Any, context: Any, platform: Any) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(422 if b"grants/bad" in request.content else 201)

    platform.answers["audit"] = answer
    with context.unit_of_work() as session:
        for name in ("one", "bad", "two"):
            record_audit(session, None, "consent.granted", f"grants/{name}")
    client.deliver()
    (row,) = rows(context)
    assert row.dead
    assert row.body["resource"] == "grants/bad"


def test_a_batch_is_one_request(client: Any, context: Any, platform: Any) -> None:
    with context.unit_of_work() as session:
        for number in range(7):
            record_audit(session, None, "consent.granted", f"grants/{number}")
    client.deliver()
    (body,) = platform.sent_to("audit/v1/events")
    assert [event["resource"] for event in body["events"]] == [f"grants/{number}" for number in range(7)]


def test_a_message_under_way_is_leased(client: Any, context: Any, platform: Any, clock: FixedClock) -> None:
    """A relay that dies during a delivery leaves the message to others, after the lease."""

    def die(_: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    platform.answers["notification"] = die
    with context.unit_of_work() as session:
        enqueue(session, "notification", "/v1/messages", {"a": 1})
    with pytest.raises(KeyboardInterrupt):
        client.deliver()
    del platform.answers["notification"]
    client.deliver()
    assert platform.messages == []
    clock.advance(seconds=31)
    client.deliver()
    assert platform.sent_to("notification/v1/messages") == [{"a": 1}]


def test_a_standby_delivers_nothing(
    client: Any, context: Any, platform: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with context.unit_of_work() as session:
        enqueue(session, "notification", "/v1/messages", {"a": 1})
    monkeypatch.setattr(context.database, "role", lambda: "standby")
    assert context.relay.step() is False
    assert platform.messages == []


def test_the_trace_of_the_request_is_carried_along(client: Any, context: Any) -> None:
    with (
        context.telemetry.tracer.span("origin", SpanKind.INTERNAL) as span,
        context.unit_of_work() as session,
    ):
        enqueue(session, "notification", "/v1/messages", {"a": 1})
        origin = format(span.context.trace_id, "032x")
    assert origin in rows(context)[0].traceparent


def test_pauses_double_up_to_a_minute() -> None:
    pauses = [pause_after(attempt, lambda: 0.5).total_seconds() for attempt in range(1, 12)]
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0]
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
    assert pause_after(1000).total_seconds() <= LONGEST_PAUSE_SECONDS * 1.2


@pytest.mark.parametrize(
    "entry",
    [
        {"action": "Consent Granted", "resource": "x"},
        {"action": "a", "resource": "Jeanne Dupont"},
        {"action": "a", "resource": "x", "patient": "Jeanne Dupont"},
        {"action": "a", "resource": "x", "detail": {"note": "naïve, (free) text"}},
    ],
)
def test_what_the_audit_service_would_refuse_is_refused_at_once(entry: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        AuditEntry(**entry)
