"""Log lines: JSON, with the trace, without anything about a person."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from fastapi.testclient import TestClient

from services.common.logs import MASK, configure_logging, get_logger
from services.common.testing import TokenSigner
from services.consent.service import SERVICE


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    captured = io.StringIO()
    configure_logging("consent", "fr-par", stream=captured)
    yield captured
    root.handlers, root.level = before
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_request_is_one_line_with_its_template_and_trace(
    stream: io.StringIO, start: Callable[..., Any], signer: TokenSigner
) -> None:
    client = start(SERVICE)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    client.get(
        "/v1/grants/8f14e45f-ceea-467f-a0f1-3c1d2b1a9d11?name=Dupont",
        headers=signer.headers("patient")
        | {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "x-request-id": "request-1"},
    )
    (line,) = [line for line in lines(stream) if line["event"] == "request"]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/v1/grants/{grant_id}", 404)
    assert (line["trace_id"], line["request_id"]) == (trace, "request-1")
    assert (line["service"], line["region"], line["level"]) == ("consent", "fr-par", "info")
    assert line["ms"] >= 0
    assert "Dupont" not in stream.getvalue()
    assert "8f14e45f" not in stream.getvalue()


def test_probes_are_not_logged(stream: io.StringIO, start: Callable[..., Any]) -> None:
    client = start(SERVICE)
    for path in ("/livez", "/readyz", "/metrics"):
        client.get(path)
    assert [line for line in lines(stream) if line["event"] == "request"] == []


def test_exceptions_keep_their_place_and_lose_their_message(stream: io.StringIO) -> None:
    def inner() -> None:
        raise ValueError("Key (email)=(dupont@example.org) already exists")

    try:
        try:
            inner()
        except ValueError as error:
            raise RuntimeError("patient Dupont") from error
    except RuntimeError as error:
        get_logger("x").error("failed", exc_info=error)
        logging.getLogger("library").exception("also failed")
    for line in lines(stream):
        assert [part["type"] for part in line["error"]] == ["builtins.RuntimeError", "builtins.ValueError"]
        assert any(frame.endswith(" inner") for frame in line["error"][1]["frames"])
    assert "upont" not in stream.getvalue()


def test_known_keys_are_masked(stream: io.StringIO) -> None:
    get_logger("x").info("event", email="a@example.org", Authorization="Bearer x", password="p", count=3)
    (line,) = lines(stream)
    assert (line["email"], line["Authorization"], line["password"], line["count"]) == (MASK, MASK, MASK, 3)


def test_chatty_libraries_are_quiet(stream: io.StringIO) -> None:
    logging.getLogger("httpx").info("HTTP Request: GET http://x?patient=1")
    logging.getLogger("authlib.oauth2.rfc6749").debug("Issue token secret")
    assert stream.getvalue() == ""


def test_spans_carry_no_parameters(start: Callable[..., Any], signer: TokenSigner) -> None:
    client = start(SERVICE)
    headers = signer.headers("patient", "recognisable-subject")
    practitioner = "8f14e45f-ceea-467f-a0f1-3c1d2b1a9d11"
    client.post(
        "/v1/grants?x=Dupont",
        json={"practitioner": practitioner, "purpose": "care", "text_version": 1},
        headers=headers,
    )
    spans = client.app.state.spans
    names = {span.name for span in spans}
    assert {"POST /v1/grants", "SELECT sqlite", "INSERT sqlite"} <= names
    told = " ".join(str(dict(span.attributes or {})) + span.name for span in spans)
    for secret in ("recognisable-subject", practitioner, practitioner.replace("-", ""), "Dupont"):
        assert secret not in told
    assert len({span.context.trace_id for span in spans}) == 1


def test_probes_leave_no_trace_unless_somebody_traces_them(start: Callable[..., Any]) -> None:
    client = start(SERVICE)
    before = len(client.app.state.spans)
    for path in ("/livez", "/readyz", "/metrics"):
        client.get(path)
    # As a server behind a prefix sees them.
    assert TestClient(client.app, root_path="/consent").get("/consent/readyz").status_code == 200
    assert len(client.app.state.spans) == before
    client.get("/readyz", headers={"traceparent": f"00-{'4b' * 16}-{'1a' * 8}-01"})
    assert "GET /readyz" in {span.name for span in client.app.state.spans}
