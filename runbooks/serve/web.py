"""The HTTP side: Alertmanager's webhook, and the pages of people on call."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Final
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from runbooks.serve import page
from runbooks.serve.commits import GroupCommits
from runbooks.serve.desk import Desk
from runbooks.serve.notice import Malformed, read_message
from runbooks.serve.people import SESSION_SECONDS, People, Session
from vitalops.errors import VitalopsError

WEBHOOK_PATH: Final = "/v1/alerts"
MOST_BYTES: Final = 1024 * 1024
"""Of one message: some thousand alerts."""
MOST_FORM_BYTES: Final = 16 * 1024
BODY_SECONDS: Final = 10.0
STORE_SECONDS: Final = 8.0
"""Alertmanager itself waits for ten."""
LONGEST_REASON: Final = 300
_ASSETS: Final = {"style.css": "text/css", "live.js": "text/javascript"}
_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}

Endpoint = Callable[[Request], Awaitable[Response]]
Decision = Callable[[Request, Session, str], str]


class TooLarge(Exception):
    """The body is larger than it may be."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the application serves. `tokens` gives the webhook's by pair; `secure` says whether it is served by TLS."""

    platform: str
    commits: GroupCommits
    desk: Desk
    people: People
    tokens: Callable[[], Mapping[str, str]]
    secure: bool

    @property
    def cookie(self) -> str:
        # The prefix keeps other hosts and paths, and plain HTTP, from setting it.
        return "__Host-vitalops" if self.secure else "vitalops"


def application(site: Site) -> Starlette:
    pages = _Pages(site)
    return Starlette(
        routes=[
            Route(WEBHOOK_PATH, _webhook(site), methods=["POST"]),
            Route("/", _shown(site, pages.first)),
            Route("/live", _shown(site, pages.live, fragment=True)),
            Route("/operations/{id}", _shown(site, pages.operation)),
            Route("/runs/{id}/approve", _decided(site, pages, pages.approve), methods=["POST"]),
            Route("/runs/{id}/reject", _decided(site, pages, pages.reject), methods=["POST"]),
            Route("/runs/{id}/resume", _decided(site, pages, pages.resume), methods=["POST"]),
            Route("/halt", _decided(site, pages, pages.halt), methods=["POST"]),
            Route("/lift", _decided(site, pages, pages.lift), methods=["POST"]),
            Route("/login", pages.login_form, methods=["GET"]),
            Route("/login", pages.log_in, methods=["POST"]),
            Route("/logout", _decided(site, pages, pages.log_out), methods=["POST"]),
            Route("/assets/{name}", _asset),
            Route("/healthz", _healthy),
            Route("/favicon.ico", _no_content),
        ],
        exception_handlers={404: _not_found, 405: _not_allowed, 500: _broken},
    )


def _webhook(site: Site) -> Endpoint:
    async def take(request: Request) -> Response:
        pair = _pair_of(request.headers.get("authorization", ""), site.tokens())
        if pair is None:
            return _line(401, "the bearer token is missing or wrong", {"www-authenticate": "Bearer"})
        try:
            body = await _body(request, MOST_BYTES)
            notices = read_message(body)
            stored = await _on_disk(site.commits.submit(pair, notices))
        except TooLarge:
            return _line(413, f"more than {MOST_BYTES} bytes")
        except TimeoutError:
            return _line(408, "the body did not come in time")
        except Malformed as error:
            return _line(400, str(error))
        except VitalopsError as error:
            return _line(503, f"not stored: {error}", {"retry-after": "5"})
        return _line(200, "stored" if stored else "not stored: the disk takes too long", ok=stored)

    return take


async def _on_disk(stored: Future[int]) -> bool:
    try:
        await asyncio.wait_for(asyncio.wrap_future(stored), STORE_SECONDS)
    except TimeoutError:
        return False
    return True


def _pair_of(header: str, tokens: Mapping[str, str]) -> str | None:
    """Whose token it is. Every one is compared, whole, whichever is right."""
    given = header.encode("utf-8", "replace")
    found: str | None = None
    for pair, token in tokens.items():
        if hmac.compare_digest(given, f"Bearer {token}".encode()):
            found = pair
    return found


async def _body(request: Request, most: int) -> bytes:
    """Raises TooLarge before more than `most` bytes are read, TimeoutError where it does not come."""
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:12]) > most:
        raise TooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise TooLarge
    except ClientDisconnect:
        raise TimeoutError from None
    return bytes(body)


class _Pages:
    """Synchronous: called in threads, as they read files and databases."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def first(self, request: Request, session: Session, said: str = "") -> str:
        del request
        return page.first_page(self._site.desk.look(), session, said)

    def live(self, request: Request, session: Session) -> str:
        del request
        return page.live(self._site.desk.look(), session).text

    def operation(self, request: Request, session: Session) -> str | None:
        desk = self._site.desk
        found = desk.operation(request.path_params["id"])
        if found is None:
            return None
        return page.operation_page(found, self._site.platform, session, desk.now())

    def approve(self, request: Request, session: Session, reason: str) -> str:
        self._site.desk.approve(request.path_params["id"], session.person, reason)
        return ""

    def reject(self, request: Request, session: Session, reason: str) -> str:
        self._site.desk.reject(request.path_params["id"], session.person, reason)
        return ""

    def resume(self, request: Request, session: Session, reason: str) -> str:
        del reason
        self._site.desk.resume(request.path_params["id"], session.person)
        return ""

    def halt(self, request: Request, session: Session, reason: str) -> str:
        del request
        unrecorded = self._site.desk.halt(session.person, reason)
        return f"Halted, and not recorded: {unrecorded}" if unrecorded else ""

    def lift(self, request: Request, session: Session, reason: str) -> str:
        del request
        self._site.desk.lift(session.person, reason)
        return ""

    def log_out(self, request: Request, session: Session, reason: str) -> str:
        del request, session, reason
        return ""

    async def login_form(self, request: Request) -> Response:
        del request
        anybody = bool(await run_in_threadpool(self._site.people.names))
        return _html(page.login_page(anybody=anybody))

    async def log_in(self, request: Request) -> Response:
        try:
            form = await _form(request)
        except (TooLarge, TimeoutError):
            return _html(page.login_page("That was too much, or too slow."), 400)
        if not _own(request):
            return _html(page.login_page("The form came from another site."), 403)
        name, token = form.get("name", "").strip(), form.get("token", "").strip()
        cookie = await run_in_threadpool(self._site.people.log_in, name, token)
        if cookie is None:
            said = "Name or token are wrong. After too many attempts, wait a minute."
            return _html(page.login_page(said), 401)
        answer = RedirectResponse("/", 303, _HEADERS)
        answer.set_cookie(
            self._site.cookie,
            cookie,
            max_age=SESSION_SECONDS,
            path="/",
            secure=self._site.secure,
            httponly=True,
            samesite="strict",
        )
        return answer


def _shown(site: Site, draw: Callable[[Request, Session], str | None], *, fragment: bool = False) -> Endpoint:
    async def show(request: Request) -> Response:
        session = await run_in_threadpool(_session, site, request)
        if session is None:
            if fragment:
                return _line(401, "log in first")
            return RedirectResponse("/login", 303, _HEADERS)
        text = await run_in_threadpool(draw, request, session)
        if text is None:
            return _html(page.message_page("Not found", "Nothing is known of that operation."), 404)
        return _html(text)

    return show


def _decided(site: Site, pages: _Pages, decide: Decision) -> Endpoint:
    async def post(request: Request) -> Response:
        session = await run_in_threadpool(_session, site, request)
        if session is None:
            return RedirectResponse("/login", 303, _HEADERS)
        try:
            form = await _form(request)
        except (TooLarge, TimeoutError):
            return _line(413, "that was too much, or too slow")
        given = form.get("csrf", "").encode("utf-8", "replace")
        if not _own(request) or not hmac.compare_digest(given, session.csrf.encode()):
            return _line(403, "the form is not of this page, or an old one: nothing was changed")
        reason = " ".join(form.get("reason", "").split())[:LONGEST_REASON]
        try:
            said, status = await run_in_threadpool(decide, request, session, reason), 200
        except VitalopsError as error:
            said, status = str(error), 409
        if said:
            return _html(await run_in_threadpool(pages.first, request, session, said), status)
        answer = RedirectResponse("/", 303, _HEADERS)
        if decide == pages.log_out:
            answer.delete_cookie(site.cookie, path="/", secure=site.secure, httponly=True, samesite="strict")
        return answer

    return post


def _session(site: Site, request: Request) -> Session | None:
    return site.people.session(request.cookies.get(site.cookie, ""))


def _own(request: Request) -> bool:
    """Whether the browser says that the form is one of ours; browsers that say nothing have the CSRF token alone."""
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


async def _form(request: Request) -> dict[str, str]:
    body = await _body(request, MOST_FORM_BYTES)
    with suppress(ValueError):
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20))
    return {}


def _html(text: str, status: int = 200) -> Response:
    return HTMLResponse(text, status, _HEADERS)


def _line(status: int, text: str, headers: Mapping[str, str] | None = None, *, ok: bool = True) -> Response:
    one = " ".join(text.split())
    return PlainTextResponse(f"{one}\n", status if ok else 503, {**_HEADERS, **(headers or {})})


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _ASSETS:
        return _line(404, "not found")
    text = files("runbooks.serve").joinpath("assets", name).read_text(encoding="utf-8")
    return Response(text, 200, {**_HEADERS, "cache-control": "no-cache"}, f"{_ASSETS[name]}; charset=utf-8")


async def _healthy(request: Request) -> Response:
    del request
    return _line(200, "ok")


async def _no_content(request: Request) -> Response:
    del request
    return Response(status_code=204, headers=_HEADERS)


async def _not_found(request: Request, error: Exception) -> Response:
    del request, error
    return _line(404, "not found")


async def _not_allowed(request: Request, error: Exception) -> Response:
    del request, error
    return _line(405, "not allowed")


async def _broken(request: Request, error: Exception) -> Response:
    del request
    return _line(500, f"a fault of vitalops itself: {type(error).__name__}")
