"""What happens around every request: its id, trace, metrics, log line, size limit and last resort."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import structlog
from opentelemetry.trace import SpanKind, StatusCode
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.logs import get_logger
from services.common.problems import ProblemError, internal_error, problem_response
from services.common.telemetry import PROPAGATOR, Telemetry

log = get_logger("services.request")

_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET = frozenset({"/livez", "/readyz", "/metrics"})
REQUEST_ID_HEADER = "x-request-id"


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
        headers = Headers(scope=scope)
        given = headers.get(REQUEST_ID_HEADER, "")
        request_id = given if _REQUEST_ID.match(given) else uuid.uuid4().hex
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
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

        active = {"http.request.method": method}
        parent = PROPAGATOR.extract(dict(headers))
        begin = time.perf_counter()
        self.telemetry.active_requests.add(1, active)
        with (
            structlog.contextvars.bound_contextvars(request_id=request_id),
            self.telemetry.tracer.start_as_current_span(
                method,
                context=parent,
                kind=SpanKind.SERVER,
                record_exception=False,
                set_status_on_exception=False,
            ) as span,
        ):
            try:
                await self.app(scope, receive, send_observed)
            except Exception as error:
                log.error("unhandled", exc_info=error, route=route_template(scope), method=method)
                span.set_attribute("error.type", type(error).__name__)
                if not started:
                    await problem_response(internal_error())(scope, receive, send_observed)
            finally:
                seconds = time.perf_counter() - begin
                route = route_template(scope)
                self.telemetry.active_requests.add(-1, active)
                labels: dict[str, Any] = {
                    "http.request.method": method,
                    "http.route": route,
                    "http.response.status_code": str(status),
                }
                self.telemetry.request_duration.record(seconds, labels)
                span.update_name(f"{method} {route}" if route else method)
                span.set_attributes(labels)
                if status >= 500:
                    span.set_status(StatusCode.ERROR)
                if route not in _QUIET or status >= 400:
                    log.info(
                        "request", method=method, route=route, status=status, ms=round(seconds * 1000, 1)
                    )


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
