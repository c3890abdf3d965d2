"""What is sent to the services, and how their answers are read. The services' own shapes, over a mock transport."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

import httpx
import pytest

from vitalops.consultation.http import Edge
from vitalops.consultation.people import Person
from vitalops.consultation.signin import Account, Tokens
from vitalops.errors import UsageError
from vitalops.ledger.entries import Found, Kind, content
from vitalops.ledger.people import ATTEMPT_SECONDS, Hasty, LedgerAuthor, keep, kept, read_back
from vitalops.ledger.writer import Reply
from vitalops.secretstore import InMemorySecretStore

URL = "https://localhost:8443"
Handler = Callable[[httpx.Request], httpx.Response]


def person(role: str) -> Person:
    tokens = Tokens(access_token=f"{role}-token", token_type="Bearer", expires_in=900)
    return Person(role, Account(f"{role}@example.invalid", "secret"), f"{role}-pseudonym", tokens)


def author(handler: Handler) -> LedgerAuthor:
    edge = Edge(URL, Hasty(httpx.MockTransport(handler), ATTEMPT_SECONDS))
    return LedgerAuthor(
        "trial", edge, person("patient"), person("practitioner"), "c1", "e1", time.monotonic()
    )


def wrote(handler: Handler, kind: Kind = Kind.NOTE) -> Reply:
    return asyncio.run(author(handler).write(kind, 3, "key-3"))


def test_a_note_is_sent_as_the_practitioner_writes_it() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json={"id": "o7"}, headers={"x-vitalops-region": "fr-gra"})

    assert wrote(answer) == Reply(201, "o7", "fr-gra")
    (request,) = seen
    body = json.loads(request.content)
    assert request.url.path == "/records/fhir/Observation"
    assert body["valueString"] == content("trial", 3)
    assert body["subject"] == {"reference": "Patient/patient-pseudonym"}
    assert request.headers["idempotency-key"] == "key-3"
    assert request.headers["authorization"] == "Bearer practitioner-token"
    assert request.extensions["timeout"] == dict.fromkeys(
        ("connect", "read", "write", "pool"), ATTEMPT_SECONDS
    )


def test_a_prescription_carries_its_number_in_what_is_signed() -> None:
    seen: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        return httpx.Response(503, text="no")

    assert wrote(answer, Kind.PRESCRIPTION) == Reply(503)
    body = json.loads(seen[0])
    assert body["consultation_id"] == "c1"
    assert body["items"][0]["dosage"] == content("trial", 3)


def test_no_answer_is_a_reply_without_status() -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("late")

    assert wrote(fail) == Reply(0)


def test_an_acknowledgement_without_an_id_is_kept_as_such() -> None:
    assert wrote(lambda _: httpx.Response(201, text="")) == Reply(201)


def note(number: int, at: str) -> dict[str, object]:
    return {
        "resource": {"id": f"o{number}", "meta": {"lastUpdated": at}, "valueString": content("trial", number)}
    }


def test_everything_is_read_back_page_by_page() -> None:
    offsets: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/prescription/"):
            listed = [
                {"id": "p1", "issued_at": "2026-11-01T10:00:00Z", "items": [{"dosage": content("trial", 1)}]},
                {"id": "p0", "issued_at": "2026-11-01T09:00:00Z", "items": [{"dosage": "1 tablet"}]},
            ]
            return httpx.Response(200, json={"prescriptions": listed})
        offset = int(request.url.params["_offset"])
        offsets.append(str(offset))
        entries = (
            [note(number, "2026-11-01T10:00:01.5Z") for number in (1, 2)]
            if offset == 0
            else [note(3, "2026-11-01T10:00:02Z")]
        )
        return httpx.Response(200, json={"total": 201, "entry": entries})

    edge = Edge(URL, httpx.MockTransport(answer))
    found = asyncio.run(read_back("trial", edge, person("patient")))
    assert offsets == ["0", "200"]
    assert found[0] == Found(Kind.PRESCRIPTION, "patient-pseudonym", 1, "p1", 1793527200.0)
    assert [(each.number, each.id) for each in found[1:]] == [(1, "o1"), (2, "o2"), (3, "o3")]
    assert found[1].at == 1793527201.5


def test_tokens_that_are_young_are_not_renewed() -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise AssertionError("nobody is to be asked")

    asyncio.run(author(fail).renew())


def test_where_nobody_gets_in_the_old_tokens_serve() -> None:
    def down(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    made = author(down)
    made.signed_in -= 3600
    asyncio.run(made.renew())
    assert made.practitioner.token == "practitioner-token"


def test_accounts_are_kept_as_secrets_for_a_later_check() -> None:
    store = InMemorySecretStore()
    keep(store, "france", "trial", [person("patient")])
    (back,) = kept(store, "france", "trial")
    assert (back.subject, back.account.password) == ("patient-pseudonym", "secret")
    with pytest.raises(UsageError, match="not known here"):
        kept(store, "france", "another")
