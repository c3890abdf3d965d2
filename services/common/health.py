"""Liveness and readiness that tell the truth.

Alive: the process answers. Ready: it wants traffic, its database answers within a second with a schema this
code can use, and it can verify tokens. Other services are no condition: one that is down must not take its
callers with it; their requests say 503 themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import text

from services.common.context import ServiceContext
from services.common.schema import database_revision, head_revision, known_revisions, schema_state

DATABASE_SECONDS = 1.0

router = APIRouter(include_in_schema=False)


class Readiness:
    """Checks readiness; a database that hangs costs one thread, not one a probe."""

    def __init__(self, context: ServiceContext, state: Any) -> None:
        self._context = context
        self._state = state
        self._head = head_revision(context.definition)
        self._known = known_revisions(context.definition)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="readiness")
        self._pending: Future[tuple[str, str]] | None = None

    def check(self) -> tuple[bool, dict[str, Any]]:
        """Whether the service is ready, and the document that says why (not)."""
        checks: dict[str, str] = {}
        role = "unknown"
        if self._context.lifecycle.draining:
            checks["lifecycle"] = "draining"
        try:
            role, checks["schema"] = self._database()
            checks["database"] = "ok"
        except Exception as error:
            checks["database"] = "timeout" if isinstance(error, FutureTimeout) else "unreachable"
        checks["keys"] = "ok" if self._passes(self._context.verifier.check_keys) else "missing"
        for name, test in self._context.definition.checks:
            checks[name] = "ok" if self._passes(partial(test, self._context, self._state)) else "failing"
        good = {"ok", "head", "ahead"}
        ready = all(value in good for value in checks.values())
        document = {
            "status": "ready" if ready else "unready",
            "service": self._context.settings.service,
            "region": self._context.settings.region,
            "role": role,
            "checks": checks,
        }
        return ready, document

    def close(self) -> None:
        """Stop the checking thread."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _database(self) -> tuple[str, str]:
        if self._pending is None or self._pending.done():
            self._pending = self._executor.submit(self._ask_database)
        return self._pending.result(timeout=DATABASE_SECONDS)

    def _ask_database(self) -> tuple[str, str]:
        database = self._context.health_database
        with database.engine.connect() as connection:
            role = "primary"
            if database.is_postgresql and connection.scalar(text("SELECT pg_is_in_recovery()")):
                role = "standby"
            return role, schema_state(database_revision(connection), self._head, self._known)

    @staticmethod
    def _passes(test: Callable[[], None]) -> bool:
        try:
            test()
        except Exception:
            return False
        return True


@router.get("/livez")
async def livez() -> PlainTextResponse:
    """The event loop turns."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
def readyz(request: Request) -> JSONResponse:
    """200 when requests can be served here now, 503 otherwise; the body says why."""
    ready, document = request.app.state.readiness.check()
    return JSONResponse(document, status_code=200 if ready else 503)


@router.get("/metrics")
def metrics(request: Request) -> PlainTextResponse:
    """Prometheus text format."""
    exposition = request.app.state.context.telemetry.exposition()
    return PlainTextResponse(exposition, media_type=CONTENT_TYPE_LATEST)
