"""Idempotency keys on requests that create, after Stripe's rules.

A key is scoped to the caller and the route. The first use runs the effect and stores its response in the same
transaction; the same key with the same parameters replays that response; with other parameters it is an
error; while the first is still running it is a conflict. Problems raised by the effect roll everything back
and are not stored.

What is stored tells nothing: the row's id is a digest of the scope, the fingerprint is an HMAC under the key,
and the response is encrypted under a key derived from it. The key itself stays with the client.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Depends, Header, Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import Response
from pydantic import BaseModel
from sqlalchemy import CursorResult, delete, insert, select, text
from sqlalchemy.orm import Session

from services.common.db import SessionDep, finally_do
from services.common.middleware import route_template
from services.common.problems import ProblemError
from services.common.tables import IDEMPOTENCY

KEPT = timedelta(hours=24)
"""How long a key is remembered, at least."""
REPLAYED_HEADER = "idempotent-replayed"
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Reply:
    """A response that an effect wants stored; need not be 2xx (a declined payment is an outcome too)."""

    content: Any
    status: int = 201
    location: str = ""
    media_type: str = "application/json"


def request_fingerprint(key: str, *, body: bytes, query: str, path_parameters: dict[str, str]) -> str:
    """HMAC-SHA256 of the parameters under the key; JSON that means the same gives the same."""
    try:
        canonical = json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")) if body else ""
    except ValueError:
        canonical = body.hex()
    parameters = json.dumps([canonical, query, sorted(path_parameters.items())])
    return hmac.new(key.encode(), parameters.encode(), hashlib.sha256).hexdigest()


def _scope_digest(key: str, subject: str, method: str, route: str) -> str:
    return hashlib.sha256("\0".join((subject, method, route, key)).encode()).hexdigest()


def _cipher(key: str, row_id: str) -> AESGCM:
    return AESGCM(hmac.new(key.encode(), b"vitalops response " + row_id.encode(), hashlib.sha256).digest())


class KeysInFlight:
    """Keys being worked on in this process, for databases without advisory locks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: set[str] = set()

    def acquire(self, row_id: str) -> bool:
        """Take a key; False when it is taken."""
        with self._lock:
            if row_id in self._held:
                return False
            self._held.add(row_id)
            return True

    def release(self, row_id: str) -> None:
        """Give a key back."""
        with self._lock:
            self._held.discard(row_id)


class Once:
    """Runs an effect once for each idempotency key. A dependency: `once: OnceDep`."""

    def __init__(self, request: Request, session: Session, key: str, body: bytes) -> None:
        self._request = request
        self._session = session
        self._key = key
        self._body = body

    @property
    def key(self) -> str:
        """The key as the client sent it, for passing on to a provider."""
        return self._key

    def __call__(
        self,
        effect: Callable[[], BaseModel | Reply | dict[str, Any]],
        *,
        status: int = 201,
        location: Callable[[Any], str] | None = None,
    ) -> Response:
        """Run `effect` in the request's transaction, or replay what it answered before.

        `status` and `location` apply to a bare model or dictionary; a Reply has its own. Raises ProblemError
        409 while the same key is being worked on and 422 when it was used with other parameters.
        """
        principal = getattr(self._request.state, "principal", None)
        subject = principal.subject if principal is not None else "anonymous"
        row_id = _scope_digest(self._key, subject, self._request.method, route_template(self._request.scope))
        fingerprint = request_fingerprint(
            self._key,
            body=self._body,
            query=self._request.url.query,
            path_parameters={name: str(value) for name, value in self._request.path_params.items()},
        )
        self._claim(row_id)
        stored = self._session.execute(select(IDEMPOTENCY).where(IDEMPOTENCY.c.id == row_id)).one_or_none()
        if stored is not None:
            return self._replay(stored, row_id, fingerprint)
        outcome = effect()
        if isinstance(outcome, Reply):
            reply = outcome
        else:
            reply = Reply(outcome, status=status, location=location(outcome) if location else "")
        return self._store(reply, row_id, fingerprint)

    def _claim(self, row_id: str) -> None:
        context = self._request.app.state.context
        if context.database.is_postgresql:
            # Held until the transaction ends, and free again when this process dies.
            lock = int.from_bytes(bytes.fromhex(row_id[:16]), "big", signed=True)
            free = self._session.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": lock})
        else:
            free = context.keys_in_flight.acquire(row_id)
            if free:
                finally_do(self._session, lambda: context.keys_in_flight.release(row_id))
        if not free:
            raise ProblemError(
                409,
                "idempotency-key-in-use",
                "Conflict",
                "A request with this Idempotency-Key is being worked on.",
                headers={"Retry-After": "1"},
            )

    def _replay(self, stored: Any, row_id: str, fingerprint: str) -> Response:
        if not hmac.compare_digest(stored.fingerprint, fingerprint):
            raise ProblemError(
                422,
                "idempotency-key-reused",
                "Unprocessable content",
                "This Idempotency-Key was used with other parameters.",
            )
        sealed = bytes(stored.body)
        body = _cipher(self._key, row_id).decrypt(
            sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], row_id.encode()
        )
        self._request.app.state.context.telemetry.idempotent_replays.inc()
        return Response(body, status_code=stored.status, headers={**stored.headers, REPLAYED_HEADER: "true"})

    def _store(self, reply: Reply, row_id: str, fingerprint: str) -> Response:
        body = json.dumps(jsonable_encoder(reply.content), separators=(",", ":"), ensure_ascii=False).encode()
        headers = {"content-type": reply.media_type}
        if reply.location:
            headers["location"] = reply.location
        nonce = os.urandom(_NONCE_BYTES)
        self._session.execute(
            insert(IDEMPOTENCY).values(
                id=row_id,
                fingerprint=fingerprint,
                status=reply.status,
                headers=headers,
                body=nonce + _cipher(self._key, row_id).encrypt(nonce, body, row_id.encode()),
                created_at=self._request.app.state.context.clock.now(),
            )
        )
        return Response(body, status_code=reply.status, headers=headers)


async def once_dependency(
    request: Request,
    session: SessionDep,
    idempotency_key: Annotated[
        str,
        Header(
            alias="Idempotency-Key",
            min_length=8,
            max_length=255,
            pattern=r"^[\x21-\x7e]+$",
            description="A fresh random value (a UUID) for each thing to create; the same again to retry.",
        ),
    ],
) -> Once:
    """The guard of one request; the body is read here so that its fingerprint can be taken."""
    return Once(request, session, idempotency_key, await request.body())


OnceDep = Annotated[Once, Depends(once_dependency)]


def purge_keys(session: Session, now: datetime) -> int:
    """Forget keys older than KEPT; returns how many."""
    result = session.execute(delete(IDEMPOTENCY).where(IDEMPOTENCY.c.created_at < now - KEPT))
    assert isinstance(result, CursorResult)
    return result.rowcount
