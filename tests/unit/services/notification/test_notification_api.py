"""Queueing, sending with retries, voiding, and who reads what."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.common.queues import run
from services.common.testing import FixedClock, TokenSigner, assert_migrations_match
from services.common.traffic import HEADER_SYNTHETIC
from services.notification.models import InboxEntry
from services.notification.providers import LocalProvider, Outgoing, ProviderRefused
from services.notification.rules import MAX_ATTEMPTS
from services.notification.sending import Sender
from services.notification.service import SERVICE

PATIENT, OTHER = str(uuid.uuid4()), str(uuid.uuid4())
WHEN = "2026-01-20T10:00:00+00:00"


class Flaky:
    """Refuses the first `refusals` attempts, then delivers."""

    name = "flaky"

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self._inner = LocalProvider()

    def send(self, session: Session, message: Outgoing, now: datetime) -> None:
        if self.refusals:
            self.refusals -= 1
            raise ProviderRefused("busy")
        self._inner.send(session, message, now)


@pytest.fixture
def client(start: Any) -> Any:
    return start(SERVICE)


def send(client: Any, provider: Any = None) -> None:
    state = client.app.state
    sender = Sender(state.context, provider or LocalProvider(), state.service.metrics)
    while sender.step():
        pass


def queue(client: Any, signer: TokenSigner, template: str = "appointment-booked", **more: Any) -> Any:
    body = {"subject": PATIENT, "template": template, "parameters": {"starts_at": WHEN}} | more
    return client.post("/v1/notifications", json=body, headers=signer.headers("service", "scheduling"))


def read(client: Any, signer: TokenSigner, identifier: str) -> Any:
    return client.get(f"/v1/notifications/{identifier}", headers=signer.headers("patient", PATIENT)).json()


def test_migrations_make_the_models_tables(tmp_path: Any) -> None:
    assert_migrations_match(SERVICE, tmp_path)


def test_a_message_is_queued_sent_and_read_by_its_subject_alone(client: Any, signer: TokenSigner) -> None:
    queued = queue(client, signer)
    assert (queued.status_code, queued.json()["status"]) == (201, "queued")
    send(client)
    mine = client.get("/v1/notifications", headers=signer.headers("patient", PATIENT)).json()["notifications"]
    assert [(each["status"], each["text"]) for each in mine] == [
        ("sent", "Your appointment on 20/01/2026 10:00 UTC is booked. Sign in to see it.")
    ]
    with client.app.state.context.database.transaction() as session:
        assert [entry.subject for entry in session.scalars(select(InboxEntry))] == [PATIENT]
    path = f"/v1/notifications/{queued.json()['id']}"
    stranger = signer.headers("patient", OTHER)
    assert client.get("/v1/notifications", headers=stranger).json()["notifications"] == []
    assert client.get(path, headers=stranger).status_code == 404
    assert client.get(path, headers=signer.headers("service", "payment")).status_code == 404
    assert client.get(path, headers=signer.headers("service", "scheduling")).status_code == 200


@pytest.mark.parametrize("role", ["patient", "practitioner", "operator"])
def test_only_services_send(client: Any, signer: TokenSigner, role: str) -> None:
    body = {"subject": PATIENT, "template": "prescription-issued"}
    assert client.post("/v1/notifications", json=body, headers=signer.headers(role)).status_code == 403


def test_a_refused_message_is_tried_again_later(client: Any, signer: TokenSigner, clock: FixedClock) -> None:
    identifier, provider = queue(client, signer).json()["id"], Flaky(2)
    for _ in range(2):
        send(client, provider)
        clock.advance(minutes=1)
    assert read(client, signer, identifier)["status"] == "queued"
    send(client, provider)
    assert (read(client, signer, identifier)["status"], read(client, signer, identifier)["attempts"]) == (
        "sent",
        3,
    )


def test_a_message_that_is_always_refused_is_given_up(
    client: Any, signer: TokenSigner, clock: FixedClock
) -> None:
    identifier, provider = queue(client, signer).json()["id"], Flaky(1000)
    for _ in range(MAX_ATTEMPTS + 3):
        send(client, provider)
        clock.advance(hours=1)
    assert (read(client, signer, identifier)["status"], provider.refusals) == ("failed", 1000 - MAX_ATTEMPTS)


def test_a_message_waits_for_its_time(client: Any, signer: TokenSigner, clock: FixedClock) -> None:
    later = (clock.now() + timedelta(hours=2)).isoformat()
    identifier = queue(client, signer, "appointment-reminder", not_before=later).json()["id"]
    send(client)
    assert read(client, signer, identifier)["status"] == "queued"
    clock.advance(hours=2)
    send(client)
    assert read(client, signer, identifier)["status"] == "sent"


@pytest.mark.parametrize("cancelled_first", [False, True])
def test_a_cancelled_appointments_reminder_is_void(
    client: Any, signer: TokenSigner, clock: FixedClock, cancelled_first: bool
) -> None:
    later = (clock.now() + timedelta(hours=2)).isoformat()
    about = {"reference": "appointments/1"}
    if cancelled_first:
        queue(client, signer, "appointment-cancelled", **about)
    reminder = queue(client, signer, "appointment-reminder", not_before=later, **about).json()["id"]
    other = queue(
        client, signer, "appointment-reminder", not_before=later, reference="appointments/2"
    ).json()["id"]
    if not cancelled_first:
        queue(client, signer, "appointment-cancelled", **about)
    clock.advance(hours=3)
    send(client)
    assert read(client, signer, reminder)["status"] == "void"
    assert read(client, signer, other)["status"] == "sent"


def test_a_message_delivered_twice_by_an_outbox_is_one_message(client: Any, signer: TokenSigner) -> None:
    headers = signer.headers("service", "scheduling", key="message-0001")
    body = {"subject": PATIENT, "template": "prescription-issued"}
    first, second = (client.post("/v1/notifications", json=body, headers=headers) for _ in range(2))
    assert first.json()["id"] == second.json()["id"]


@pytest.mark.parametrize(
    "change",
    [
        {"template": "newsletter"},
        {"parameters": {"starts_at": "bring the biopsy"}},
        {"parameters": {}},
        {"text": "hello"},
    ],
)
def test_free_text_is_refused(client: Any, signer: TokenSigner, change: dict[str, Any]) -> None:
    refused = queue(client, signer, **change)
    assert refused.status_code == 422
    assert "biopsy" not in refused.text


@pytest.mark.parametrize(
    ("after", "outcome", "traffic"),
    [(29, "delivered", "real"), (31, "late", "real"), (1, "delivered", "synthetic")],
)
def test_alerts_are_counted_by_how_soon_they_arrive(
    client: Any, signer: TokenSigner, clock: FixedClock, after: float, outcome: str, traffic: str
) -> None:
    occurred = clock.now()
    clock.advance(seconds=after)
    body = {"subject": PATIENT, "template": "monitor-alert", "occurred_at": occurred.isoformat()}
    headers = signer.headers("service", "records")
    if traffic == "synthetic":
        headers |= {HEADER_SYNTHETIC: "1"}
    assert client.post("/v1/notifications", json=body, headers=headers).status_code == 201
    send(client)
    send(client)
    metrics = client.get("/metrics").text
    counted = [line for line in metrics.splitlines() if line.startswith("vitalops_monitor_alerts_total{")]
    assert len(counted) == 6
    assert [line for line in counted if not line.endswith(" 0.0")] == [
        f'vitalops_monitor_alerts_total{{outcome="{outcome}",traffic="{traffic}"}} 1.0'
    ]
    assert f'vitalops_monitor_alert_delivery_seconds_sum{{traffic="{traffic}"}} {float(after)}' in metrics


def test_an_alert_that_is_given_up_has_failed(client: Any, signer: TokenSigner, clock: FixedClock) -> None:
    queue(client, signer, "monitor-alert", parameters={})
    for _ in range(MAX_ATTEMPTS):
        send(client, Flaky(1000))
        clock.advance(minutes=11)
    assert 'vitalops_monitor_alerts_total{outcome="failed",traffic="real"} 1.0' in client.get("/metrics").text


def test_what_was_given_up_is_sent_once_more_when_asked(
    client: Any, signer: TokenSigner, clock: FixedClock
) -> None:
    identifier, engine = queue(client, signer).json()["id"], client.app.state.context.database.engine
    for _ in range(MAX_ATTEMPTS):
        send(client, Flaky(1000))
        clock.advance(hours=1)
    (given_up,) = [
        each for each in run("notification", engine, [], clock.now()) if each["queue"] == "messages"
    ]
    assert (given_up["waiting"], given_up["given_up"]) == (0, 1)
    order = ["--replay", "messages", "--before", str(clock.now().timestamp()), "--limit", "10"]
    assert [run("notification", engine, order, clock.now()) for _ in range(2)] == [
        {"replayed": 1},
        {"replayed": 0},
    ]
    send(client)
    assert read(client, signer, identifier)["status"] == "sent"
