"""A request that creates has one effect, however often it is sent."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends
from fastapi.responses import Response
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from services.common.auth import Principal, require
from services.common.db import SessionDep
from services.common.idempotency import KEPT, OnceDep, Reply, purge_keys, request_fingerprint
from services.common.problems import conflict
from services.common.tables import IDEMPOTENCY, OUTBOX
from services.common.testing import FixedClock, TokenSigner
from services.common.types import Body, Line
from services.consent.service import SERVICE

router = APIRouter()
effects: list[str] = []
gate = threading.Event()
entered = threading.Event()


class Thing(Body):
    name: Line
    fail: bool = False
    wait: bool = False


@router.post("/v1/things", status_code=201)
def make_thing(
    body: Thing, _: Annotated[Principal, Depends(require(role="patient"))], session: SessionDep, once: OnceDep
) -> Response:
    def effect() -> dict[str, Any]:
        effects.append(body.name)
        if body.wait:
            entered.set()
            assert gate.wait(5)
        if body.fail:
            raise conflict("It is not possible now.")
        return {"id": str(uuid.uuid4()), "name": body.name}

    return once(effect, location=lambda thing: f"/things/{thing['id']}")


@router.post("/v1/declined", status_code=201)
def declined(
    body: Thing, _: Annotated[Principal, Depends(require(role="patient"))], session: SessionDep, once: OnceDep
) -> Response:
    def effect() -> Reply:
        effects.append(body.name)
        return Reply({"declined": True}, status=402, location="/x")

    return once(effect)


TOY = replace(SERVICE, routers=(router,))


@pytest.fixture
def client(start: Callable[..., Any]) -> Any:
    effects.clear()
    gate.clear()
    entered.clear()
    return start(TOY)


def test_the_same_again_is_replayed(client: Any, signer: TokenSigner) -> None:
    headers = signer.headers("patient", "p")
    first = client.post("/v1/things", json={"name": "a"}, headers=headers)
    # The same parameters in another order and spacing, and a newer token of the same person.
    renewed = signer.headers("patient", "p", key=headers["idempotency-key"]) | {
        "content-type": "application/json"
    }
    second = client.post(
        "/v1/things", content=b'{ "fail" : false,  "name":"a","wait":false}', headers=renewed
    )
    assert second.status_code == 422
    third = client.post("/v1/things", content=b'  {"name" :"a"} ', headers=renewed)
    assert (first.status_code, third.status_code) == (201, 201)
    assert third.content == first.content
    assert third.headers["location"] == first.headers["location"]
    assert "idempotent-replayed" not in first.headers
    assert third.headers["idempotent-replayed"] == "true"
    assert effects == ["a"]


def test_a_key_with_other_parameters_is_an_error(client: Any, signer: TokenSigner) -> None:
    headers = signer.headers("patient", "p")
    client.post("/v1/things", json={"name": "a"}, headers=headers)
    other = client.post("/v1/things", json={"name": "b"}, headers=headers)
    assert other.status_code == 422
    assert other.json()["type"] == "urn:vitalops:problem:idempotency-key-reused"
    query = client.post("/v1/things?x=1", json={"name": "a"}, headers=headers)
    assert query.status_code == 422
    assert effects == ["a"]


def test_keys_belong_to_a_caller_and_a_route(client: Any, signer: TokenSigner) -> None:
    key = str(uuid.uuid4())
    one = client.post("/v1/things", json={"name": "a"}, headers=signer.headers("patient", "p", key=key))
    two = client.post("/v1/things", json={"name": "a"}, headers=signer.headers("patient", "q", key=key))
    assert one.json()["id"] != two.json()["id"]
    client.post("/v1/declined", json={"name": "c"}, headers=signer.headers("patient", "p", key=key))
    assert effects == ["a", "a", "c"]


def test_conflicts_and_invalid_requests_are_not_stored(client: Any, signer: TokenSigner) -> None:
    headers = signer.headers("patient", "p")
    assert client.post("/v1/things", json={"nome": "a"}, headers=headers).status_code == 422
    assert client.post("/v1/things", json={"name": "a", "fail": True}, headers=headers).status_code == 409
    assert client.post("/v1/things", json={"name": "a"}, headers=headers).status_code == 201


def test_an_outcome_that_is_not_2xx_can_be_stored(client: Any, signer: TokenSigner) -> None:
    headers = signer.headers("patient", "p")
    first = client.post("/v1/declined", json={"name": "a"}, headers=headers)
    second = client.post("/v1/declined", json={"name": "a"}, headers=headers)
    assert (first.status_code, second.status_code) == (402, 402)
    assert second.headers["idempotent-replayed"] == "true"
    assert effects == ["a"]


@pytest.mark.parametrize("key", ["", "short", "x" * 256, "with space 1234", "é" * 10])
def test_unusable_keys_are_refused(client: Any, signer: TokenSigner, key: str) -> None:
    headers = {
        "authorization": signer.headers("patient")["authorization"],
        "idempotency-key": key.encode("latin-1"),
    }
    assert client.post("/v1/things", json={"name": "a"}, headers=headers).status_code == 422
    assert effects == []


def test_a_missing_key_is_named(client: Any, signer: TokenSigner) -> None:
    headers = {"authorization": signer.headers("patient")["authorization"]}
    answer = client.post("/v1/things", json={"name": "a"}, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:vitalops:problem:idempotency-key-missing"


def test_the_second_while_the_first_runs_is_a_conflict(client: Any, signer: TokenSigner) -> None:
    headers = signer.headers("patient", "p")
    body = {"name": "slow", "wait": True}
    answers: list[Any] = []
    first = threading.Thread(
        target=lambda: answers.append(client.post("/v1/things", json=body, headers=headers))
    )
    first.start()
    assert entered.wait(5)
    second = client.post("/v1/things", json=body, headers=headers)
    gate.set()
    first.join(5)
    assert second.status_code == 409
    assert second.json()["type"] == "urn:vitalops:problem:idempotency-key-in-use"
    assert second.headers["retry-after"] == "1"
    assert answers[0].status_code == 201
    assert client.post("/v1/things", json=body, headers=headers).content == answers[0].content
    assert effects == ["slow"]


def test_nothing_readable_is_stored(client: Any, signer: TokenSigner) -> None:
    headers = signer.headers("patient", "subject-of-somebody")
    client.post("/v1/things", json={"name": "Recognisable Name"}, headers=headers)
    with client.app.state.context.database.transaction() as session:
        (row,) = session.execute(select(IDEMPOTENCY)).all()
    stored = repr(tuple(row)).encode() + bytes(row.body)
    for secret in ("Recognisable", "subject-of-somebody", headers["idempotency-key"]):
        assert secret.encode() not in stored


def test_keys_are_kept_for_a_day(client: Any, signer: TokenSigner, clock: FixedClock) -> None:
    client.post("/v1/things", json={"name": "a"}, headers=signer.headers("patient", "p"))
    database = client.app.state.context.database

    def kept() -> int:
        with database.transaction() as session:
            purge_keys(session, clock.now())
            return session.scalar(select(func.count()).select_from(IDEMPOTENCY)) or 0

    clock.advance(seconds=KEPT.total_seconds())
    assert kept() == 1
    clock.advance(seconds=1)
    assert kept() == 0


def test_effect_and_key_share_one_fate(
    client: Any, signer: TokenSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the commit fails, neither the effect nor the stored response is there."""
    from services.common.audit import record_audit
    from services.common.idempotency import Once

    original = Once._store

    def store_then_fail(self: Once, *arguments: Any) -> Response:
        record_audit(self._session, None, "thing.made", "things/1")
        original(self, *arguments)
        raise RuntimeError("the process dies here")

    monkeypatch.setattr(Once, "_store", store_then_fail)
    headers = signer.headers("patient", "p")
    assert client.post("/v1/things", json={"name": "a"}, headers=headers).status_code == 500
    with client.app.state.context.database.transaction() as session:
        assert session.scalar(select(func.count()).select_from(IDEMPOTENCY)) == 0
        assert session.scalar(select(func.count()).select_from(OUTBOX)) == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(JSON, JSON)
def test_fingerprints_tell_documents_apart(one: Any, two: Any) -> None:
    import json

    def fingerprint(document: Any, **form: Any) -> str:
        return request_fingerprint(
            "key-12345", body=json.dumps(document, **form).encode(), query="", path_parameters={}
        )

    assert fingerprint(one) == fingerprint(one, indent=3)
    same = json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)
    assert (fingerprint(one) == fingerprint(two)) == same


def test_fingerprints_depend_on_every_parameter() -> None:
    base: dict[str, Any] = {"body": b"{}", "query": "a=1", "path_parameters": {"id": "1"}}
    changes: list[dict[str, Any]] = [{"body": b"[]"}, {"query": "a=2"}, {"path_parameters": {"id": "2"}}]
    prints = {request_fingerprint("key", **(base | change)) for change in [{}, *changes]}
    assert len(prints | {request_fingerprint("other", **base)}) == 5
