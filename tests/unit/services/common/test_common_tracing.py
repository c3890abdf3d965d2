"""Spans: how they hang together, what they cost nobody, and that OpenTelemetry reads them."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Link, SpanKind
from structlog.testing import capture_logs

from services.common.gateway_span import HEADER_GATEWAY
from services.common.otlp import encode
from services.common.outbox import enqueue
from services.common.settings import SettingsError, load_settings
from services.common.shipping import LONGEST_PAUSE_SECONDS, QUEUE, SpanShipper
from services.common.testing import TokenSigner
from services.common.tracing import Tracer, current, parse
from services.consent.service import SERVICE

TRACE, SPAN, ABOVE = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{SPAN}-01"
UNSAMPLED = f"00-{TRACE}-{SPAN}-00"


def named(spans: list[ReadableSpan], name: str) -> ReadableSpan:
    (found,) = [span for span in spans if span.name == name]
    return found


def span_id(span: ReadableSpan) -> str:
    assert span.context is not None
    return format(span.context.span_id, "016x")


def below(span: ReadableSpan) -> str:
    return format(span.parent.span_id, "016x") if span.parent is not None else ""


def ended(tracer: Tracer) -> None:
    with tracer.span("work", SpanKind.INTERNAL):
        pass


def test_one_trace_from_the_gateway_to_the_statement(start: Any, signer: TokenSigner) -> None:
    client = start(SERVICE)
    began = time.time_ns() // 1000 - 2000
    told = {"traceparent": GIVEN, HEADER_GATEWAY: f"{began}-{ABOVE}"}
    client.get("/v1/grants", headers=signer.headers("patient") | told)
    spans = client.app.state.spans
    gateway, server = named(spans, "gateway"), named(spans, "GET /v1/grants")
    statement = named(spans, "SELECT sqlite")
    assert (below(gateway), span_id(gateway)) == (ABOVE, SPAN)
    assert (below(server), below(statement)) == (SPAN, span_id(server))
    assert {format(span.context.trace_id, "032x") for span in spans} == {TRACE}
    assert (gateway.resource.attributes["service.name"], gateway.start_time) == ("gateway", began * 1000)
    assert server.resource.attributes["service.name"] == "consent"
    assert gateway.end_time >= server.start_time
    assert "?" in statement.attributes["db.query.text"]
    assert server.attributes["http.response.status_code"] == 200


@pytest.mark.parametrize(
    "told", ["", "nonsense", "1-2", f"9999999999999999-{ABOVE}", f"1000000000000000-{ABOVE}"]
)
def test_a_gateway_that_tells_nothing_credible_has_no_span(start: Any, told: str) -> None:
    client = start(SERVICE)
    client.get("/livez", headers={"traceparent": GIVEN, HEADER_GATEWAY: told})
    assert [span.name for span in client.app.state.spans] == ["GET /livez"]


def test_probes_and_scrapes_are_not_recorded(start: Any) -> None:
    client = start(SERVICE)
    for path in ("/livez", "/readyz", "/metrics"):
        assert client.get(path).status_code == 200
    assert client.app.state.spans == []


def test_a_trace_that_is_not_recorded_leaves_ids_and_nothing_else(start: Any, platform: Any) -> None:
    client = start(SERVICE)
    context = client.app.state.context
    client.get(
        "/livez", headers={"traceparent": UNSAMPLED, HEADER_GATEWAY: f"{time.time_ns() // 1000}-{ABOVE}"}
    )
    with (
        context.telemetry.tracer.span("w", SpanKind.INTERNAL, parse(UNSAMPLED)),
        context.unit_of_work() as session,
    ):
        enqueue(session, "notification", "/v1/messages", {})
        assert format(current().trace_id, "032x") == TRACE
    seen: list[str] = []
    platform.answers["notification"] = lambda request: (
        seen.append(request.headers["traceparent"]) or httpx.Response(201, json={})
    )
    client.deliver()
    assert client.app.state.spans == []
    assert seen[0].startswith(f"00-{TRACE}-")
    assert seen[0].endswith("-00")


def test_an_outbox_delivery_continues_the_trace_of_its_message(start: Any) -> None:
    client = start(SERVICE)
    context, spans = client.app.state.context, client.app.state.spans
    with context.telemetry.tracer.span("origin", SpanKind.INTERNAL), context.unit_of_work() as session:
        enqueue(session, "notification", "/v1/messages", {})
    client.deliver()
    origin, deliver = named(spans, "origin"), named(spans, "deliver notification")
    assert below(deliver) == span_id(origin)
    assert below(named(spans, "POST notification")) == span_id(deliver)
    assert not deliver.links


def test_messages_of_several_traces_go_out_in_a_trace_with_links_to_them(start: Any) -> None:
    client = start(SERVICE)
    context, spans = client.app.state.context, client.app.state.spans
    for _ in range(3):
        with context.telemetry.tracer.span("origin", SpanKind.INTERNAL), context.unit_of_work() as session:
            enqueue(session, "audit", "/v1/events", {"id": "x"}, batch_field="events")
    client.deliver()
    origins = {span.context.trace_id for span in spans if span.name == "origin"}
    deliver = named(spans, "deliver audit")
    assert deliver.parent is None
    assert {link.context.trace_id for link in deliver.links} == origins
    assert deliver.context.trace_id not in origins


def test_ratio_decides_where_a_trace_begins_and_nowhere_else() -> None:
    spans: list[ReadableSpan] = []
    tracer = Tracer(Resource({}), ratio=0.25, ship=spans.append)
    for _ in range(2000):
        ended(tracer)
    assert 350 < len(spans) < 650
    never = Tracer(Resource({}), ratio=0.0, ship=spans.append)
    spans.clear()
    for parent in (GIVEN, UNSAMPLED, ""):
        with never.span("work", SpanKind.INTERNAL, parse(parent)):
            pass
    assert len(spans) == 1


@pytest.mark.parametrize(
    "given", ["", "x", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-{SPAN}-01"]
)
def test_a_malformed_parent_is_none(given: str) -> None:
    assert parse(given) is None


def test_an_exception_marks_its_span_by_type_alone() -> None:
    spans: list[ReadableSpan] = []
    with (
        pytest.raises(ValueError, match="Dupont"),
        Tracer(Resource({}), ship=spans.append).span("work", SpanKind.INTERNAL),
    ):
        raise ValueError("Key (email)=(Dupont)")
    assert dict(spans[0].attributes or {}) == {"error.type": "ValueError"}
    assert not spans[0].status.is_ok


def test_the_encoding_is_opentelemetrys_own() -> None:
    spans: list[ReadableSpan] = []
    tracer = Tracer(Resource({"service.name": "a", "region": "b"}), ship=spans.append)
    remote = parse(GIVEN)
    assert remote is not None
    with tracer.span("é", SpanKind.SERVER, remote) as outer:
        outer.attributes |= {"http.route": "/v1/{a}", "status": 404, "big": 2**40, "negative": -1}
        inner = tracer.begin("SELECT", SpanKind.CLIENT, current())
        inner.attributes, inner.failed = {"db.query.text": "é" * 300, "empty": ""}, True
        tracer.end(inner)
        tracer.report(tracer.begin("gateway", SpanKind.SERVER), Resource({"service.name": "gateway"}), 5)
    with tracer.span("deliver", SpanKind.PRODUCER, None, [Link(remote), Link(outer.context)]):
        pass
    expected = ExportTraceServiceRequest.FromString(encode_spans(spans).SerializeToString())
    for resource in expected.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                if not span.status.code:
                    span.ClearField("status")
    assert ExportTraceServiceRequest.FromString(encode(spans)) == expected


class Store:
    """A trace store that can be made to fail."""

    def __init__(self) -> None:
        self.failing: type[Exception] | int | None = None
        self.taken = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/traces"
        if isinstance(self.failing, int):
            return httpx.Response(self.failing)
        if self.failing is not None:
            raise self.failing("no")
        sent = ExportTraceServiceRequest.FromString(request.read())
        self.taken += sum(len(scope.spans) for each in sent.resource_spans for scope in each.scope_spans)
        return httpx.Response(200)


class Unstarted(SpanShipper):
    """Without its thread: steps are taken by the test."""

    def _start(self) -> None:
        pass


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def shipper(store: Store) -> SpanShipper:
    return Unstarted("http://traces:4318/", transport=httpx.MockTransport(store))


def test_spans_arrive_in_batches(store: Store, shipper: SpanShipper) -> None:
    tracer = Tracer(Resource({}), ship=shipper.ship)
    for _ in range(700):
        ended(tracer)
    assert shipper.step() is True
    assert (store.taken, shipper.sent, shipper.dropped) == (700, 700, 0)


@pytest.mark.parametrize("failing", [httpx.ConnectError, httpx.ReadTimeout, 503, RuntimeError])
def test_a_store_that_fails_costs_one_warning_and_its_spans(
    store: Store, shipper: SpanShipper, failing: Any
) -> None:
    tracer = Tracer(Resource({}), ship=shipper.ship)
    store.failing = failing
    with capture_logs() as lines:
        for _ in range(10):
            ended(tracer)
            assert shipper.step() is False
        assert shipper.pause() == LONGEST_PAUSE_SECONDS
        store.failing = None
        ended(tracer)
        assert shipper.step() is True
    assert [line["event"] for line in lines] == ["traces are not taken", "traces are taken again"]
    assert (store.taken, shipper.dropped) == (1, 10)
    assert shipper.pause() == 1.0


def test_the_queue_is_bounded_and_never_waited_for(shipper: SpanShipper) -> None:
    tracer = Tracer(Resource({}), ship=shipper.ship)
    begin = time.perf_counter()
    for _ in range(QUEUE + 50):
        ended(tracer)
    assert time.perf_counter() - begin < 2
    assert shipper.dropped == 50


def test_closing_sends_what_is_left(store: Store) -> None:
    shipper = SpanShipper("http://traces:4318", transport=httpx.MockTransport(store))
    ended(Tracer(Resource({}), ship=shipper.ship))
    begin = time.perf_counter()
    shipper.close()
    assert time.perf_counter() - begin < 2
    assert store.taken == 1


def test_the_ratio_is_a_share(tmp_path: Any) -> None:
    values = {
        "VITALOPS_DATABASE_URL": "sqlite://",
        "VITALOPS_ISSUER": "https://x",
        "VITALOPS_SECRETS_DIR": str(tmp_path),
    }
    told = load_settings(values | {"OTEL_TRACES_SAMPLER_ARG": "0.25"}, service="consent")
    assert (told.trace_ratio, told.telemetry_enabled) == (0.25, True)
    assert load_settings(values | {"OTEL_SDK_DISABLED": "true"}, service="consent").telemetry_enabled is False
    for wrong in ("2", "-1", "a lot", "nan"):
        with pytest.raises(SettingsError, match="OTEL_TRACES_SAMPLER_ARG"):
            load_settings(values | {"OTEL_TRACES_SAMPLER_ARG": wrong}, service="consent")
