"""Real and synthetic traffic are served alike and counted apart, through calls, the outbox and the gateway's mark."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.common import metric_names as names
from services.common import traffic
from services.common.outbox import enqueue
from services.common.testing import TokenSigner
from services.consent.service import SERVICE
from vitalops import conventions as c


def test_services_and_suite_call_it_the_same() -> None:
    assert traffic.HEADER_SYNTHETIC == c.HEADER_SYNTHETIC
    assert traffic.TRAFFIC == (c.TRAFFIC_REAL, c.TRAFFIC_SYNTHETIC)
    assert names.LABEL_TRAFFIC == c.METRIC_TRAFFIC


@pytest.mark.parametrize(
    ("sent", "counted"), [("1", "synthetic"), ("0", "real"), ("true", "real"), ("", "real"), (None, "real")]
)
def test_requests_are_counted_by_the_header(
    start: Any, signer: TokenSigner, sent: str | None, counted: str
) -> None:
    client = start(SERVICE)
    mark = {traffic.HEADER_SYNTHETIC: sent} if sent is not None else {}
    client.get("/v1/grants", headers=signer.headers("patient") | mark)
    lines = [line for line in client.get("/metrics").text.splitlines() if line.endswith(" 1.0")]
    assert [line for line in lines if line.startswith(f"{names.REQUEST_DURATION}_count")] == [
        f'{names.REQUEST_DURATION}_count{{http_request_method="GET",http_response_status_code="200",'
        f'http_route="/v1/grants",traffic="{counted}"}} 1.0'
    ]


def test_every_operations_success_is_there_at_zero(start: Any) -> None:
    exposition = start(SERVICE).get("/metrics").text
    for method, status, route in (("POST", 201, "/v1/grants"), ("GET", 200, "/v1/grants")):
        series = (
            f'{names.REQUEST_DURATION}_bucket{{http_request_method="{method}",'
            f'http_response_status_code="{status}",http_route="{route}",le="0.5",traffic="real"}} 0.0'
        )
        assert series in exposition


def test_the_mark_goes_along_with_calls_and_messages_and_never_mixes(start: Any, platform: Any) -> None:
    client = start(SERVICE)
    context = client.app.state.context
    seen: list[tuple[str, str | None, int]] = []

    def note(request: httpx.Request) -> httpx.Response:
        body = request.read()
        seen.append((request.url.path, request.headers.get(traffic.HEADER_SYNTHETIC), body.count(b'"n"')))
        return httpx.Response(201, json={})

    platform.answers["audit"] = note
    for synthetic in (True, False, True):
        with traffic.traffic(synthetic), context.unit_of_work() as session:
            context.client.get("audit", "/v1/asked")
            enqueue(session, "audit", "/v1/events", {"n": 1}, batch_field="events")
    client.deliver()
    assert [mark for path, mark, _ in seen if path == "/v1/asked"] == ["1", None, "1"]
    told = {mark: count for path, mark, count in seen if path == "/v1/events"}
    assert told == {"1": 2, None: 1}
    assert not traffic.is_synthetic()


def test_limits_are_the_same_for_both(start: Any, signer: TokenSigner) -> None:
    client = start(SERVICE)
    mark = {traffic.HEADER_SYNTHETIC: "1"}
    assert client.get("/v1/grants", headers=mark).status_code == 401
    assert client.get("/v1/decisions", headers=signer.headers("patient") | mark).status_code == 403


def test_what_synthetic_requests_take_is_measured_without_anybodys_name(
    start: Any, signer: TokenSigner
) -> None:
    client = start(SERVICE)
    client.get(
        "/v1/grants", headers=signer.headers("patient", "recognisable") | {traffic.HEADER_SYNTHETIC: "1"}
    )
    (span,) = [span for span in client.app.state.spans if span.name == "GET /v1/grants"]
    assert span.attributes["vitalops.traffic"] == "synthetic"
    assert "recognisable" not in str(dict(span.attributes)) + client.get("/metrics").text
