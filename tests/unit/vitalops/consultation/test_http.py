from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from vitalops.consultation.http import Edge, Partial, told, trust, until
from vitalops.consultation.walk import StepFailed
from vitalops.errors import UsageError


class Answer(Partial):
    id: str


def asking(
    handler: Callable[[httpx.Request], httpx.Response], ask: Callable[[Edge], Awaitable[object]]
) -> object:
    async def run() -> object:
        edge = Edge("https://edge.test", httpx.MockTransport(handler))
        try:
            return await ask(edge)
        finally:
            await edge.aclose()

    return asyncio.run(run())


def test_an_answer_is_read_and_creating_carries_a_key_of_its_own() -> None:
    keys: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer t"
        keys.append(request.headers["idempotency-key"])
        return httpx.Response(201, json={"id": "1", "more": True})

    for _ in range(2):
        answer = asking(handler, lambda edge: edge.create(Answer, "/a/v1/things", "t", {}))
        assert answer == Answer(id="1")
    assert len(set(keys)) == 2


@pytest.mark.parametrize(
    ("response", "seen"),
    [
        (
            httpx.Response(409, json={"title": "Conflict", "detail": "The slot is taken."}),
            "POST /a answered 409 Conflict (The slot is taken.)",
        ),
        (httpx.Response(503, text="<html>down</html>"), "POST /a answered 503 Service Unavailable"),
        (httpx.Response(201, json={"ident": 1}), "POST /a answered without a usable id"),
        (httpx.Response(201, text="no json"), "POST /a answered without a usable body"),
    ],
)
def test_an_unexpected_answer_is_told_in_one_line(response: httpx.Response, seen: str) -> None:
    with pytest.raises(StepFailed) as failure:
        asking(lambda _: response, lambda edge: edge.create(Answer, "/a", "t", {}))
    assert str(failure.value).startswith(seen)
    assert "\n" not in str(failure.value)


def test_no_answer_names_the_edge() -> None:
    def down(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    with pytest.raises(StepFailed, match=r"GET /a: no answer from https://edge\.test: connection refused"):
        asking(down, lambda edge: edge.get(Answer, "/a", "t"))


def test_a_problem_without_words_is_told_by_its_status() -> None:
    assert told(httpx.Response(401, json=["odd"])) == "401 Unauthorized"
    assert told(httpx.Response(400, json={"error": "invalid_grant"})) == "400 Bad Request (invalid_grant)"


def test_until_gives_the_last_sight_when_time_is_up() -> None:
    async def look() -> int:
        return 1

    with pytest.raises(StepFailed, match="still at 1 after 0 s"):
        asyncio.run(until(look, lambda seen: seen == 2, 0, lambda seen: f"at {seen}"))


def test_until_returns_as_soon_as_it_is_so() -> None:
    seen = iter((1, 2, 3))

    async def look() -> int:
        return next(seen)

    assert asyncio.run(until(look, lambda found: found == 2, 5, str)) == 2


def test_what_cannot_be_trusted_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no certificate authority"):
        trust(tmp_path / "absent.crt")
    rubbish = tmp_path / "rubbish.crt"
    rubbish.write_text("not a certificate")
    with pytest.raises(UsageError, match="not a certificate authority"):
        trust(rubbish)
    with pytest.raises(UsageError, match="https"):
        Edge.over_tls("http://localhost:8443", rubbish)


@pytest.mark.parametrize(
    ("asked", "reached"),
    [
        ("/identity/x?a=1", "https://gateway.inside:9443/identity/x?a=1"),
        ("https://edge.test/identity/x", "https://gateway.inside:9443/identity/x"),
        ("https://elsewhere.test/x", "https://elsewhere.test/x"),
    ],
)
def test_a_platform_is_reached_another_way_under_its_public_name(asked: str, reached: str) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    async def run() -> None:
        edge = Edge(
            "https://edge.test",
            httpx.MockTransport(handler),
            via="https://gateway.inside:9443",
            headers={"x-vitalops-synthetic": "1"},
        )
        await edge.send("GET", asked)
        await edge.aclose()

    asyncio.run(run())
    assert str(seen[0].url) == reached
    assert seen[0].headers["host"] == (httpx.URL(asked).host or "edge.test")
    assert seen[0].headers["x-vitalops-synthetic"] == "1"


@pytest.mark.parametrize(
    ("url", "reached"),
    [
        ("wss://localhost:8443", "wss://10.0.0.1:30443"),
        ("wss://localhost:8443/rtc", "wss://10.0.0.1:30443/rtc"),
        ("https://localhost:8443/a", "https://10.0.0.1:30443/a"),
        ("wss://localhost:84430", "wss://localhost:84430"),
        ("wss://media.test", "wss://media.test"),
    ],
)
def test_the_way_to_what_the_platform_names(url: str, reached: str) -> None:
    edge = Edge(
        "https://localhost:8443",
        httpx.MockTransport(lambda _: httpx.Response(200)),
        via="https://10.0.0.1:30443",
    )
    assert edge.way_to(url) == reached
