"""The application factory: a definition and settings become a FastAPI application."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import FastAPI
from fastapi.routing import APIRoute

from services.common import health
from services.common.context import ServiceContext, build_context
from services.common.definition import ServiceDefinition
from services.common.handlers import install_handlers
from services.common.logs import get_logger
from services.common.middleware import BodyLimitMiddleware, ObserveMiddleware
from services.common.openapi import install_openapi
from services.common.settings import Settings

log = get_logger("services.app")


def create_app(
    definition: ServiceDefinition,
    settings: Settings,
    *,
    context: ServiceContext | None = None,
    background: bool = True,
) -> FastAPI:
    """Build the application of one service.

    `context` replaces the parts (tests); `background` starts the outbox relay and the service's workers.
    """
    parts = context or build_context(definition, settings)
    state = definition.build(parts)
    readiness = health.Readiness(parts, state)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        workers = [parts.relay_worker, *definition.workers(parts, state)] if background else []
        for worker in workers:
            worker.start()
        log.info("started", port=settings.port)
        yield
        for worker in workers:
            # Off the loop: a step under way may take seconds.
            await anyio.to_thread.run_sync(worker.stop)
        readiness.close()
        log.info("stopped")
        parts.close()

    app = FastAPI(
        title=definition.title,
        description=definition.description,
        version=definition.version,
        lifespan=lifespan,
        # No interactive pages: they would load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = parts
    app.state.service = state
    app.state.readiness = readiness
    app.include_router(health.router)
    for router in definition.routers:
        app.include_router(router)
    _expect_routes(definition, parts)
    install_handlers(app)
    app.add_middleware(BodyLimitMiddleware, limit=definition.max_body_bytes)
    app.add_middleware(ObserveMiddleware, telemetry=parts.telemetry)
    install_openapi(app)
    return app


def _expect_routes(definition: ServiceDefinition, parts: ServiceContext) -> None:
    """Every operation's answers are counted from 0, so that the first one after a start is not missed.

    Real traffic only, and successes only: what fails is the gateway's to count, from counters that exist at 0. Of
    synthetic traffic the first request of each kind after a start is missed.
    """
    for router in definition.routers:
        for route in router.routes:
            if isinstance(route, APIRoute):
                documented = {status for status in route.responses if str(status).startswith("2")}
                for status in {route.status_code or 200, *documented}:
                    for method in route.methods:
                        parts.telemetry.expect_route(method, route.path, int(status))
