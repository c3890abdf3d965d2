"""What happens around every request: its id, trace, metrics, log line, size limit and last resort."""

from __future__ import annotations

import re
import time
import uuid
from typing import Final

import structlog
from opentelemetry.trace import SpanKind
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.gateway_span import HEADER_GATEWAY, report_gateway
from services.common.logs import get_logger
from services.common.problems import ProblemError, internal_error, problem_response
from services.common.telemetry import Telemetry
from services.common.tracing import TRACEPARENT, Span, parse
from services.common.traffic import HEADER_SYNTHETIC, MARK, SYNTHETIC, label, traffic

log = get_logger("services.request")

_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET_ENDS = ("/livez", "/readyz", "/metrics")
_QUIET = frozenset(_QUIET_ENDS)
REQUEST_ID_HEADER = "x-request-id"

_REQUEST_ID_KEY: Final = REQUEST_ID_HEADER.encode()
_SYNTHETIC_KEY: Final = HEADER_SYNTHETIC.encode()
_TRACEPARENT_KEY: Final = TRACEPARENT.encode()
_GATEWAY_KEY: Final = HEADER_GATEWAY.encode()
_WANTED: Final = frozenset({_REQUEST_ID_KEY, _SYNTHETIC_KEY, _TRACEPARENT_KEY, _GATEWAY_KEY})


def route_template(scope: Scope) -> str:
    """The template of the route that answered, or empty when none matched."""
    return getattr(scope.get("route"), "path", "") or ""


class ObserveMiddleware:
    """Outermost: request id, trace context, duration, one log line; turns a stray exception into a 500."""

    def __init__(self, app: ASGIApp, *, telemetry: Telemetry) -> None:
        self.app = app
        self.telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = _told(scope)
        request_id = given.get(_REQUEST_ID_KEY, "")
        if not _REQUEST_ID.match(request_id):
            request_id = uuid.uuid4().hex
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        synthetic = given.get(_SYNTHETIC_KEY) == MARK
        status = 500
        started = False

        async def send_observed(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                started = True
                status = message["status"]
                out = MutableHeaders(scope=message)
                out[REQUEST_ID_HEADER] = request_id
                out.setdefault("x-content-type-options", "nosniff")
                out.setdefault("cache-control", "no-store")
            await send(message)

        telemetry = self.telemetry
        active = telemetry.active_requests.labels(method)
        parent = parse(given.get(_TRACEPARENT_KEY, ""))
        begin = time.perf_counter()
        active.inc()
        with (
            structlog.contextvars.bound_contextvars(request_id=request_id),
            traffic(synthetic),
            # Probes and scrapes every few seconds would push everything else out of the trace store.
            telemetry.tracer.span(
                method, SpanKind.SERVER, parent, quiet=scope["path"].endswith(_QUIET_ENDS)
            ) as span,
        ):
            try:
                await self.app(scope, receive, send_observed)
            except Exception as error:
                log.error("unhandled", exc_info=error, route=route_template(scope), method=method)
                span.attributes["error.type"] = type(error).__name__
                if not started:
                    await problem_response(internal_error())(scope, receive, send_observed)
            finally:
                seconds = time.perf_counter() - begin
                route = route_template(scope)
                active.dec()
                if telemetry.enabled:
                    of_its_kind = telemetry.request_duration.labels(
                        method, route, str(status), label(synthetic)
                    )
                    of_its_kind.observe(seconds)
                self._describe(span, method, route, status, synthetic, given.get(_GATEWAY_KEY, ""))
                if route not in _QUIET or status >= 400:
                    log.info(
                        "request", method=method, route=route, status=status, ms=round(seconds * 1000, 1)
                    )

    def _describe(
        self, span: Span, method: str, route: str, status: int, synthetic: bool, gateway: str
    ) -> None:
        if not span.context.trace_flags.sampled:
            return
        span.name = f"{method} {route}" if route else method
        span.failed = status >= 500
        attributes = span.attributes
        attributes["http.request.method"] = method
        attributes["http.route"] = route
        attributes["http.response.status_code"] = status
        if synthetic:
            attributes["vitalops.traffic"] = SYNTHETIC
        if gateway:
            tracer, resource = self.telemetry.tracer, self.telemetry.gateway
            report_gateway(tracer, resource, gateway, span, time.time_ns(), dict(attributes))


def _told(scope: Scope) -> dict[bytes, str]:
    """The few headers that matter here, the last of each, in one pass."""
    return {key: value.decode("latin-1") for key, value in scope["headers"] if key in _WANTED}


class BodyLimitMiddleware:
    """Refuses bodies above a number of bytes with 413, by their declared length or while they arrive."""

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        too_large = ProblemError(
            413, "too-large", "Content too large", f"Bodies may have {self.limit} bytes."
        )
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > self.limit:
            await problem_response(too_large)(scope, receive, send)
            return
        seen = 0

        async def receive_limited() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self.limit:
                    raise too_large
            return message

        await self.app(scope, receive_limited, send)
