"""One way to ask a platform something and to say clearly what went wrong."""

from __future__ import annotations

import asyncio
import ssl
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from vitalops.consultation.walk import StepFailed
from vitalops.conventions import HEADER_IDEMPOTENCY_KEY
from vitalops.errors import UsageError

Answer = TypeVar("Answer", bound=BaseModel)
Seen = TypeVar("Seen")

USER_AGENT = "vitalops-verify"
TIMEOUT = httpx.Timeout(10.0, connect=3.0)
POLL_SECONDS = 0.15


class Partial(BaseModel):
    """The part of a service's answer that a walk needs; the rest is left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def trust(ca_file: Path) -> ssl.SSLContext:
    """TLS that accepts what the platform's own authority has signed, and nothing else.

    Raises UsageError where the file is missing or holds no certificate.
    """
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=ca_file)
    except FileNotFoundError:
        raise UsageError(
            f"no certificate authority at {ca_file}", hint="run vitalops up first, or name it with --ca"
        ) from None
    except (ssl.SSLError, OSError) as error:
        raise UsageError(f"{ca_file} is not a certificate authority's file: {error}") from None
    return context


def check_https(url: str) -> None:
    """Raises UsageError for a URL that is not https."""
    if not url.startswith("https://"):
        raise UsageError(f"{url!r} is not an https:// URL", hint="as in --edge https://localhost:8443")


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def fresh_key() -> dict[str, str]:
    """The header that makes one creating request safe to repeat."""
    return {HEADER_IDEMPOTENCY_KEY: str(uuid.uuid4())}


class Edge:
    """A platform as it is reached from outside. Every failure is a StepFailed that names the request."""

    def __init__(
        self,
        url: str,
        transport: httpx.AsyncBaseTransport,
        *,
        via: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`url` is the platform's public one; `via` is where it is reached from here, if elsewhere.

        `headers` go with every request.
        """
        self.url = url.rstrip("/")
        self.via = via.rstrip("/") or self.url
        self._transport = transport if self.via == self.url else _Rerouted(transport, self.url, self.via)
        self._headers = {"user-agent": USER_AGENT, **(headers or {})}
        self._client = self.browser()

    @classmethod
    def over_tls(
        cls, url: str, ca_file: Path, *, via: str = "", headers: Mapping[str, str] | None = None
    ) -> Edge:
        """The usual one. Raises UsageError for a URL that is not https."""
        for address in filter(None, (url, via)):
            check_https(address)
        limits = httpx.Limits(max_connections=20, max_keepalive_connections=10)
        transport = httpx.AsyncHTTPTransport(verify=trust(ca_file), limits=limits)
        return cls(url, transport, via=via, headers=headers)

    @property
    def media_url(self) -> str:
        """Where calls are joined when a service does not say otherwise."""
        return self.way_to(self.url.replace("http", "ws", 1))

    def way_to(self, url: str) -> str:
        """How a URL that the platform handed out, also of a WebSocket, is reached from here."""
        for scheme in ("http", "ws"):
            public = self.url.replace("http", scheme, 1)
            if url == public or url.startswith(public + "/"):
                return self.via.replace("http", scheme, 1) + url[len(public) :]
        return url

    def browser(self) -> httpx.AsyncClient:
        """A client with cookies of its own, on the shared connections."""
        return httpx.AsyncClient(
            base_url=self.url,
            transport=_Shared(self._transport),
            timeout=TIMEOUT,
            headers=self._headers,
            follow_redirects=False,
        )

    async def aclose(self) -> None:
        await self._client.aclose()
        await self._transport.aclose()

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> httpx.Response:
        """The answer, whatever its status."""
        try:
            return await (client or self._client).request(
                method, path, headers=headers, json=json, data=form, params=params
            )
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise StepFailed(f"{method} {path}: no answer from {self.url}: {reason}") from error

    async def ask(
        self,
        method: str,
        path: str,
        *,
        expect: tuple[int, ...] = (200,),
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The answer, of one of the statuses in `expect`."""
        response = await self.send(method, path, headers=headers, json=json, form=form, params=params)
        if response.status_code not in expect:
            wanted = " or ".join(str(status) for status in expect)
            raise StepFailed(f"{method} {path} answered {told(response)} where {wanted} was due")
        return response

    async def get(
        self, kind: type[Answer], path: str, token: str, params: Mapping[str, str] | None = None
    ) -> Answer:
        return read(kind, await self.ask("GET", path, headers=bearer(token), params=params))

    async def create(
        self,
        kind: type[Answer],
        path: str,
        token: str,
        body: Any,
        *,
        expect: tuple[int, ...] = (200, 201, 202),
    ) -> Answer:
        """POST with a fresh idempotency key."""
        headers = bearer(token) | fresh_key()
        return read(kind, await self.ask("POST", path, expect=expect, headers=headers, json=body))


class _Shared(httpx.AsyncBaseTransport):
    """A transport whose owner is somebody else: closing a client leaves it open."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._transport.handle_async_request(request)


class _Rerouted(httpx.AsyncBaseTransport):
    """Asks `via` for what is addressed to the origin `public`: from inside a region, its gateway for the edge.

    The Host header stays the public one; the certificate must name the host in `via`.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, public: str, via: str) -> None:
        self._transport = transport
        self._public, self._via = httpx.URL(public), httpx.URL(via)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url, public = request.url, self._public
        if (url.scheme, url.host, url.port) == (public.scheme, public.host, public.port):
            url = url.copy_with(scheme=self._via.scheme, host=self._via.host, port=self._via.port)
            request = httpx.Request(
                request.method,
                url,
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        await self._transport.aclose()


def told(response: httpx.Response) -> str:
    """A response in a few words: its status and, for a problem document, what the problem is."""
    text = f"{response.status_code} {response.reason_phrase}".strip()
    if "json" not in response.headers.get("content-type", ""):
        return text
    try:
        document = response.json()
    except ValueError:
        return text
    if not isinstance(document, dict):
        return text
    for name in ("detail", "error_description", "title", "error"):
        said: Any = document.get(name)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if isinstance(said, str) and said:
            return f"{text} ({said})"
    return text


def read(kind: type[Answer], response: httpx.Response) -> Answer:
    """The answer as `kind`. Raises StepFailed naming the first field that does not fit."""
    request = response.request
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise StepFailed(
            f"{request.method} {request.url.path} answered without a usable {place or 'body'}: {first['msg']}"
        ) from None


async def until(
    look: Callable[[], Awaitable[Seen]],
    done: Callable[[Seen], bool],
    seconds: float,
    describe: Callable[[Seen], str],
) -> Seen:
    """Looks again and again until `done`. Raises StepFailed with the last sight after `seconds`."""
    deadline = time.perf_counter() + seconds
    while True:
        seen = await look()
        if done(seen):
            return seen
        if time.perf_counter() >= deadline:
            raise StepFailed(f"still {describe(seen)} after {seconds:g} s")
        await asyncio.sleep(POLL_SECONDS)
