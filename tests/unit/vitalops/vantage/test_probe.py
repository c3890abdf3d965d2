"""What counts as an answer."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

import httpx
import pytest

from vitalops.detection.sights import Part, Place, Vantage
from vitalops.fencing.report import GuardReport, to_json
from vitalops.vantage.probe import Answer, HttpsProbe

GUARD = Vantage(Place.WITNESS, Part.GUARD, "fr-par")


def report(place: str = "fr-par") -> GuardReport:
    return GuardReport(
        "france", place, 3, "fr-par", "primary", True, "", "synchronous", True, 0, (), clock=1.0
    )


def looked(handler: Callable[[httpx.Request], httpx.Response], *, reports: bool = True) -> Answer | None:
    async def once() -> Answer | None:
        probe = HttpsProbe(
            GUARD,
            "https://10.201.1.2:30444/v1/guard",
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            reports=reports,
            transport=httpx.MockTransport(handler),
        )
        try:
            return await probe.look()
        finally:
            await probe.aclose()

    return asyncio.run(once())


def test_a_guards_report_is_read() -> None:
    assert looked(lambda _: httpx.Response(200, text=to_json(report()))) == Answer(report())


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(503),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, text="x" * 70_000),
        httpx.Response(200, text=to_json(report("ch-gva"))),
    ],
    ids=["unavailable", "no report", "too large", "another region's"],
)
def test_whatever_answers_is_there_but_not_believed(response: httpx.Response) -> None:
    assert looked(lambda _: response) == Answer(None)


def failing(error: Exception) -> Callable[[httpx.Request], httpx.Response]:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    return fail


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("connection refused"),
        httpx.ReadError("reset"),
        OSError("no route to host"),
        httpx.RemoteProtocolError("Server disconnected without sending a response."),
    ],
    ids=lambda error: str(error),
)
def test_no_answer(error: Exception) -> None:
    assert looked(failing(error)) is None


def test_a_certificate_that_is_not_trusted_is_an_answer() -> None:
    error = httpx.ConnectError("certificate verify failed")
    error.__cause__ = ssl.SSLCertVerificationError("certificate has expired")
    assert looked(failing(error)) == Answer(None)


def test_what_is_no_http_is_an_answer() -> None:
    assert looked(failing(httpx.RemoteProtocolError("illegal status line"))) == Answer(None)
