"""Retries end, pauses grow, and a message shows only what its template allows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from services.notification.rules import LONGEST_PAUSE, MAX_ATTEMPTS, Delivery, Status, pause
from services.notification.templates import TEMPLATES, TemplateError, template

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def test_a_message_that_is_always_refused_fails_after_the_last_attempt() -> None:
    delivery = Delivery(Status.QUEUED, 0, NOW)
    dues = [delivery.due]
    while delivery.status is Status.QUEUED:
        delivery = delivery.refused(delivery.due)
        dues.append(delivery.due)
    assert delivery.status is Status.FAILED
    assert delivery.attempts == MAX_ATTEMPTS
    gaps = [later - earlier for earlier, later in pairwise(dues[:-1])]
    assert gaps == sorted(gaps)
    assert gaps[0] == timedelta(seconds=2)


def test_pauses_have_a_ceiling_and_start_after_the_first_attempt() -> None:
    assert pause(1000) == LONGEST_PAUSE
    with pytest.raises(ValueError, match="no pause"):
        pause(0)


def test_only_a_queued_message_can_become_void() -> None:
    assert Delivery(Status.QUEUED, 0, NOW).void().status is Status.VOID
    assert Delivery(Status.QUEUED, 0, NOW).sent().void().status is Status.SENT


GOOD = {"starts_at": "2026-01-05T09:00:00+00:00", "amount": "25.00 EUR", "invoice": "2026-000001"}


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_each_template_renders_what_it_declares(name: str) -> None:
    parameters = {key: GOOD[key] for key in TEMPLATES[name].parameters}
    text = template(name).render(parameters)
    assert "{" not in text
    with pytest.raises(TemplateError, match="takes exactly"):
        template(name).render({**parameters, "note": "biopsy result"})


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("appointment-booked", {"starts_at": "tomorrow, bring the biopsy"}),
        ("appointment-booked", {"starts_at": "2026-01-05T09:00:00"}),
        ("payment-receipt", {"amount": "biopsy", "invoice": "2026-000001"}),
        ("payment-receipt", {"amount": "25.00 EUR", "invoice": "biopsy"}),
    ],
)
def test_free_text_does_not_pass_and_is_not_repeated(name: str, parameters: dict[str, str]) -> None:
    with pytest.raises(TemplateError) as refused:
        template(name).render(parameters)
    assert "biopsy" not in str(refused.value)


def test_an_unknown_template_is_refused() -> None:
    with pytest.raises(TemplateError, match="no such template"):
        template("newsletter")


def test_voided_templates_exist() -> None:
    assert {voided for each in TEMPLATES.values() for voided in each.voids} <= set(TEMPLATES)
