"""Calls to other services: own token, time limits, safe retries, trace and request id passed on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx
import structlog
from opentelemetry.trace import SpanKind

from services.common.clock import Clock
from services.common.logs import get_logger
from services.common.middleware import REQUEST_ID_HEADER
from services.common.problems import ProblemError
from services.common.settings import Settings, SettingsError
from services.common.telemetry import Telemetry
from services.common.tracing import PROPAGATOR, current
from services.common.traffic import HEADER_SYNTHETIC, MARK, is_synthetic

log = get_logger("services.client")

IDENTITY = "identity"
TOKEN_PATH = "/oauth/token"
_RENEW_BEFORE = timedelta(seconds=60)
_ATTEMPTS = 3
_PAUSES_SECONDS = (0.1, 0.4)
_PASSING = frozenset({502, 503, 504})
_SAFE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_TIMEOUT = httpx.Timeout(4.0, connect=1.0, pool=1.0)

TokenSource = Callable[[], str]


class ServiceClient:
    """An HTTP client for the other services of the platform. Safe to share between threads.

    Answers with any status below 500 are returned. No answer, or a 5xx after the last attempt, raises
    ProblemError 503, which a request handler may let through.
    """

    def __init__(
        self,
        settings: Settings,
        telemetry: Telemetry,
        clock: Clock,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._sleep = sleep
        self._http = httpx.Client(
            transport=transport,
            timeout=_TIMEOUT,
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=10),
            headers={"user-agent": f"vitalops-{settings.service}"},
        )
        self._own_token = _ClientCredentials(self._http, settings, clock)
        self._token_source: TokenSource = self._own_token.current

    def use_token_source(self, source: TokenSource) -> None:
        """Take tokens from elsewhere than identity's token endpoint (identity makes its own)."""
        self._token_source = source

    def get(self, service: str, path: str, *, params: Mapping[str, Any] | None = None) -> httpx.Response:
        """GET from another service."""
        return self.request("GET", service, path, params=params)

    def post(
        self, service: str, path: str, *, json: Any, idempotency_key: str = "", attempts: int = _ATTEMPTS
    ) -> httpx.Response:
        """POST to another service; repeated after a failure only when it carries an idempotency key."""
        return self.request(
            "POST", service, path, json=json, idempotency_key=idempotency_key, attempts=attempts
        )

    def request(
        self,
        method: str,
        service: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        idempotency_key: str = "",
        attempts: int = _ATTEMPTS,
    ) -> httpx.Response:
        """Call another service; see the class for what is raised."""
        tries = attempts if method in _SAFE or idempotency_key else 1
        renewed = False
        for attempt in range(1, tries + 1):
            response = self._attempt(method, service, path, params, json, idempotency_key)
            if response is not None and response.status_code == 401 and not renewed:
                # The key may have been rotated, or the token revoked: one fresh token, one more try.
                renewed = True
                self._own_token.forget()
                response = self._attempt(method, service, path, params, json, idempotency_key)
            if response is not None and response.status_code not in _PASSING:
                if response.status_code >= 500:
                    break
                return response
            if attempt < tries:
                self._sleep(_PAUSES_SECONDS[min(attempt, len(_PAUSES_SECONDS)) - 1])
        raise dependency_unavailable(service)

    def _attempt(
        self, method: str, service: str, path: str, params: Mapping[str, Any] | None, json: Any, key: str
    ) -> httpx.Response | None:
        """One call; None when there was no answer."""
        try:
            url = self._settings.url_of(service) + path
        except SettingsError as error:
            log.error("unknown service", destination=service)
            raise dependency_unavailable(service) from error
        headers = {"authorization": f"Bearer {self._token_source()}"}
        if key:
            headers["idempotency-key"] = key
        request_id = structlog.contextvars.get_contextvars().get("request_id")
        if request_id:
            headers[REQUEST_ID_HEADER] = str(request_id)
        if is_synthetic():
            headers[HEADER_SYNTHETIC] = MARK
        above = current()
        begin = time.perf_counter()
        with self._telemetry.tracer.span(
            f"{method} {service}", SpanKind.CLIENT, above if above.is_valid else None
        ) as span:
            span.attributes["http.request.method"] = method
            span.attributes["server.address"] = service
            PROPAGATOR.inject(headers)
            try:
                response = self._http.request(method, url, params=params, json=json, headers=headers)
                status = response.status_code
                span.attributes["http.response.status_code"] = status
                span.failed = status >= 400
            except httpx.HTTPError as error:
                response, status = None, 0
                reason = type(error).__name__
                span.attributes["error.type"] = reason
                span.failed = True
                log.warning("no answer", destination=service, reason=reason)
            if self._telemetry.enabled:
                duration = self._telemetry.client_duration.labels(method, service, str(status))
                duration.observe(time.perf_counter() - begin)
            return response

    def close(self) -> None:
        """Close the pooled connections."""
        self._http.close()


def dependency_unavailable(service: str) -> ProblemError:
    """503: another service did not answer."""
    return ProblemError(
        503,
        "dependency-unavailable",
        "Temporarily unavailable",
        f"The {service} service did not answer.",
        headers={"Retry-After": "2"},
        extra={"dependency": service},
    )


class _ClientCredentials:
    """This service's own token, kept until a minute before it expires."""

    def __init__(self, http: httpx.Client, settings: Settings, clock: Clock) -> None:
        self._http = http
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at: datetime | None = None

    def forget(self) -> None:
        with self._lock:
            self._renew_at = None

    def current(self) -> str:
        with self._lock:
            if self._renew_at is None or self._clock.now() >= self._renew_at:
                self._fetch()
            return self._token

    def _fetch(self) -> None:
        try:
            response = self._http.post(
                self._settings.url_of(IDENTITY) + TOKEN_PATH,
                data={"grant_type": "client_credentials"},
                auth=(self._settings.service, self._settings.client_secret),
            )
            answer: dict[str, Any] = response.json() if response.status_code == 200 else {}
            token, lifetime = answer.get("access_token"), answer.get("expires_in", 0)
        except (httpx.HTTPError, SettingsError, ValueError) as error:
            raise dependency_unavailable(IDENTITY) from error
        if not isinstance(token, str) or not token:
            log.error("no service token", status=response.status_code)
            raise dependency_unavailable(IDENTITY)
        self._token = token
        self._renew_at = self._clock.now() + timedelta(seconds=int(lifetime)) - _RENEW_BEFORE
