"""What every service has around its routes: problems, limits, health, metrics, documents."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from sqlalchemy import exc as sa_exc
from sqlalchemy import text

from services.common import metric_names as names
from services.common.db import SessionDep
from services.common.problems import database_problem
from services.common.schema import schema_state
from services.common.testing import (
    FixedClock,
    TestClient,
    TokenSigner,
    assert_migrations_match,
    make_test_app,
)
from services.common.types import Body, Line
from services.consent.service import SERVICE

router = APIRouter()


class Note(Body):
    line: Line


@router.post("/v1/notes")
def write(body: Note) -> Note:
    return body


@router.put("/v1/labels")
def label(body: dict[Line, Line]) -> None:
    """Keys are the client's here."""


@router.delete("/v1/labels")
def unlabel() -> None:
    """A second method on one path."""


@router.get("/v1/broken/{name}")
def broken(name: str) -> None:
    raise RuntimeError(f"it broke over {name}")


@router.get("/v1/half")
def half(session: SessionDep) -> dict[str, bool]:
    session.execute(text("INSERT INTO alembic_version VALUES ('written')"))
    session.info["vitalops.committed"].append(_fail)
    return {"done": True}


def _fail() -> None:
    raise sa_exc.OperationalError("COMMIT", {}, Exception("connection lost"))


TOY = replace(SERVICE, routers=(router,), max_body_bytes=200)


@pytest.fixture
def client(start: Callable[..., Any]) -> Any:
    return start(TOY)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("PUT", "/v1/notes", 405), ("GET", "/v1/notes", 405)],
)
def test_what_the_framework_refuses_is_a_problem_too(
    client: Any, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["type"].startswith("urn:vitalops:problem:")
    if status == 405:
        assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 422),
        (b'{"line": "a\\u0000b"}', 422),
        (b'{"line": 5, "Dupont": 1}', 422),
        (b"\xff", 400),
    ],
)
def test_bad_bodies_are_described_without_being_repeated(client: Any, body: bytes, status: int) -> None:
    answer = client.post("/v1/notes", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert "Dupont" not in answer.text


def test_validation_names_place_and_rule(client: Any) -> None:
    answer = client.post("/v1/notes", json={"line": "Dupont\n"})
    assert answer.json()["errors"] == [{"pointer": "/body/line", "rule": "string_pattern_mismatch"}]
    assert "Dupont" not in answer.text


def test_keys_that_the_client_chose_are_not_repeated(client: Any) -> None:
    answer = client.put("/v1/labels", json={"Dupont": "a\nb", "Dup\nont": "a"})
    assert answer.status_code == 422
    assert {fault["pointer"] for fault in answer.json()["errors"]} == {"/body/*", "/body/*/*"}
    assert "Dup" not in answer.text


def test_a_refused_method_names_all_that_there_are(client: Any) -> None:
    assert client.get("/v1/labels").headers["allow"] == "DELETE, PUT"


def test_large_bodies_are_refused_by_length_and_on_arrival(client: Any) -> None:
    assert client.post("/v1/notes", json={"line": "a" * 150}).status_code == 200
    assert client.post("/v1/notes", json={"line": "a" * 300}).status_code == 413

    def chunks() -> Iterator[bytes]:
        for _ in range(10):
            yield b"a" * 100

    streamed = client.post("/v1/notes", content=chunks(), headers={"content-type": "application/json"})
    assert streamed.status_code == 413
    assert streamed.headers["content-type"] == "application/problem+json"


def test_a_fault_inside_tells_nothing(client: Any) -> None:
    answer = client.get("/v1/broken/Dupont")
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:vitalops:problem:internal"
    assert "Dupont" not in answer.text


def test_a_commit_that_fails_is_not_answered_with_success(client: Any) -> None:
    answer = client.get("/v1/half")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"


def test_request_ids_are_kept_when_sound_and_made_when_not(client: Any) -> None:
    given = client.get("/livez", headers={"x-request-id": "abc-12345"})
    assert given.headers["x-request-id"] == "abc-12345"
    made = client.get("/livez", headers={"x-request-id": "a b\tc" * 30})
    assert len(made.headers["x-request-id"]) == 32


def test_answers_are_not_stored_or_sniffed(client: Any) -> None:
    headers = client.post("/v1/notes", json={"line": "a"}).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_metrics_carry_templates_not_paths(client: Any) -> None:
    client.get("/v1/broken/Dupont")
    client.get("/v1/unknown/Dupont")
    client.request("BREW", "/v1/notes")
    exposition = client.get("/metrics").text
    assert "Dupont" not in exposition
    series = (
        f'{names.REQUEST_DURATION}_count{{{names.LABEL_METHOD}="GET",{names.LABEL_STATUS}="500",'
        f'{names.LABEL_ROUTE}="/v1/broken/{{name}}",{names.LABEL_TRAFFIC}="real"}} 1.0'
    )
    assert series in exposition
    assert f'{names.LABEL_METHOD}="_OTHER"' in exposition
    assert "BREW" not in exposition


def test_every_declared_metric_name_is_what_prometheus_sees(client: Any) -> None:
    context = client.app.state.context
    context.telemetry.client_duration.labels("GET", "audit", "200").observe(0.1)
    context.telemetry.outbox_deliveries.labels("audit", "delivered").inc()
    context.telemetry.idempotent_replays.inc()
    client.get("/livez")
    exposition = client.get("/metrics").text
    for name in (
        f"{names.REQUEST_DURATION}_bucket", names.ACTIVE_REQUESTS, f"{names.CLIENT_DURATION}_bucket",
        names.CONNECTIONS, names.OUTBOX_MESSAGES, names.OUTBOX_OLDEST_AGE, names.OUTBOX_DELIVERIES,
        names.IDEMPOTENT_REPLAYS,
    ):  # fmt: skip
        assert f"\n{name}{{" in exposition or f"\n{name} " in exposition, name
    for bound in names.DURATION_BOUNDS:
        assert f'le="{bound}"' in exposition


def test_ready_when_everything_is_there(client: Any) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["role"] == "primary"
    assert answer.json()["checks"] == {"schema": "head", "database": "ok", "keys": "ok"}


def test_not_ready_while_draining_but_still_serving(client: Any) -> None:
    client.app.state.context.lifecycle.drain()
    assert client.get("/readyz").json()["checks"]["lifecycle"] == "draining"
    assert client.get("/readyz").status_code == 503
    assert client.get("/livez").status_code == 200
    assert client.post("/v1/notes", json={"line": "a"}).status_code == 200


def test_not_ready_without_a_database(client: Any, tmp_path: Path) -> None:
    context = client.app.state.context
    context.health_database.close()
    (tmp_path / "consent.sqlite").rename(tmp_path / "gone")
    (tmp_path / "consent.sqlite").mkdir()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"] == "unreachable"
    assert client.get("/livez").status_code == 200


def test_a_database_that_hangs_costs_a_second_not_the_probe(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    readiness = client.app.state.readiness
    monkeypatch.setattr("services.common.health.DATABASE_SECONDS", 0.1)
    monkeypatch.setattr(readiness, "_ask_database", lambda: time.sleep(0.5))
    begin = time.perf_counter()
    ready, document = readiness.check()
    assert not ready
    assert document["checks"]["database"] == "timeout"
    assert readiness.check()[0] is False
    assert time.perf_counter() - begin < 0.45


@pytest.mark.parametrize(
    ("revision", "state", "status"), [("c0002", "head", 200), ("c9999", "ahead", 200), (None, "absent", 503)]
)
def test_readiness_says_how_the_schema_stands(
    client: Any, revision: str | None, state: str, status: int
) -> None:
    with client.app.state.context.database.engine.begin() as connection:
        if revision is None:
            connection.execute(text("DROP TABLE alembic_version"))
        else:
            connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["schema"]) == (status, state)


def test_an_older_schema_is_behind() -> None:
    assert schema_state("c0001", "c0002", frozenset({"c0001", "c0002"})) == "behind"


def test_not_ready_without_keys(client: Any, tmp_path: Path, clock: FixedClock) -> None:
    (tmp_path / "jwks.json").unlink()
    fresh = make_test_app(SERVICE, tmp_path / "..", clock, TokenSigner(clock))
    (tmp_path / ".." / "jwks.json").unlink()
    with TestClient(fresh) as other:
        assert other.get("/readyz").json()["checks"]["keys"] == "missing"
        assert other.get("/v1/grants", headers={"authorization": "Bearer a.b.c"}).status_code == 503


def test_migrations_make_what_the_models_describe(tmp_path: Path) -> None:
    assert_migrations_match(SERVICE, tmp_path)


def test_the_document_names_the_problems_of_every_operation(client: Any, start: Callable[..., Any]) -> None:
    document = client.get("/openapi.json").json()
    assert set(document["paths"]["/v1/notes"]["post"]["responses"]) == {
        "200",
        "400",
        "413",
        "422",
        "500",
        "503",
    }
    assert "HTTPValidationError" not in str(document)
    assert "/livez" not in document["paths"]


class _Driver(Exception):
    def __init__(self, state: str) -> None:
        super().__init__("Key (email)=(dupont@example.org) already exists")
        self.sqlstate = state


@pytest.mark.parametrize(
    ("kind", "state", "status", "slug"),
    [
        (sa_exc.InternalError, "25006", 503, "standby"),
        (sa_exc.OperationalError, "40001", 503, "unavailable"),
        (sa_exc.OperationalError, "40P01", 503, "unavailable"),
        (sa_exc.OperationalError, "57014", 503, "unavailable"),
        (sa_exc.OperationalError, "57P01", 503, "unavailable"),
        (sa_exc.IntegrityError, "23505", 409, "conflict"),
        (sa_exc.DataError, "22003", 422, "validation"),
        (sa_exc.ProgrammingError, "42P01", 500, "internal"),
    ],
)
def test_database_errors_by_their_state(kind: Any, state: str, status: int, slug: str) -> None:
    problem = database_problem(kind("INSERT", {}, _Driver(state)))
    assert (problem.status_code, problem.type) == (status, slug)
    assert "dupont" not in str(problem.document())
    assert ("Retry-After" in (problem.headers or {})) == (status == 503)


def test_a_full_pool_is_busy() -> None:
    assert database_problem(sa_exc.TimeoutError("QueuePool limit")).type == "busy"
