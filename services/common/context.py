"""The parts of one running service, made once at start and handed to whoever needs them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import Request
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.common import metric_names as names
from services.common.audit import AuditEntry, record_entry
from services.common.auth import JwksFile, TokenVerifier
from services.common.background import Worker
from services.common.clock import Clock, SystemClock
from services.common.db import Database, make_engine, trace_statements
from services.common.definition import ServiceDefinition
from services.common.idempotency import KeysInFlight
from services.common.logs import get_logger
from services.common.outbox import Relay
from services.common.problems import ProblemError
from services.common.service_client import ServiceClient
from services.common.settings import Settings
from services.common.telemetry import Telemetry, make_telemetry
from services.common.tracing import Ship

log = get_logger("services.context")

_RELAY_SECONDS = 2.0


class Lifecycle:
    """Whether the process still wants traffic."""

    def __init__(self) -> None:
        self._draining = threading.Event()

    @property
    def draining(self) -> bool:
        """True from the first SIGTERM on."""
        return self._draining.is_set()

    def drain(self) -> None:
        """Turn readiness off."""
        self._draining.set()


@dataclass(frozen=True)
class ServiceContext:
    """Everything a request handler may need; in `app.state.context`."""

    definition: ServiceDefinition
    settings: Settings
    clock: Clock
    telemetry: Telemetry
    database: Database
    health_database: Database
    verifier: TokenVerifier
    client: ServiceClient
    relay: Relay
    relay_worker: Worker
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    keys_in_flight: KeysInFlight = field(default_factory=KeysInFlight)

    @contextmanager
    def unit_of_work(self) -> Generator[Session]:
        """A transaction; a refusal that asks to be audited is recorded in a transaction of its own."""
        try:
            with self.database.transaction() as session:
                session.info["context"] = self
                yield session
        except ProblemError as problem:
            if isinstance(problem.audit, AuditEntry):
                self._record_apart(problem.audit)
            raise

    def wake_relay(self) -> None:
        """Have the outbox looked at now."""
        self.relay_worker.wake()

    def close(self) -> None:
        """Release connections and flush traces."""
        self.client.close()
        self.database.close()
        self.health_database.close()
        self.telemetry.shutdown()

    def _record_apart(self, entry: AuditEntry) -> None:
        try:
            with self.database.transaction() as session:
                session.info["context"] = self
                record_entry(session, entry)
        except SQLAlchemyError as error:
            # The refusal stands either way; on a standby it can only be logged.
            log.error("refusal not recorded", action=entry.action, exc_info=error)


def build_context(
    definition: ServiceDefinition,
    settings: Settings,
    *,
    clock: Clock | None = None,
    transport: httpx.BaseTransport | None = None,
    ship: Ship | None = None,
    sleep: Callable[[float], None] | None = None,
) -> ServiceContext:
    """Put the parts together. Tests give their own `clock`, `transport`, and `ship`, which takes finished spans."""
    the_clock = clock or SystemClock()
    telemetry = make_telemetry(
        definition.name,
        settings.region,
        otlp_endpoint=settings.otlp_endpoint,
        trace_ratio=settings.trace_ratio,
        enabled=settings.telemetry_enabled,
        ship=ship,
    )
    engine = make_engine(
        settings.database_url,
        service=definition.name,
        pool_size=settings.pool_size,
        other_password=settings.other_database_password,
    )
    trace_statements(engine, telemetry.tracer)
    database = Database(engine)
    # Apart, so that a pool busy with requests does not make the probe fail.
    health = Database(
        make_engine(
            settings.database_url,
            service=f"{definition.name}-health",
            pool_size=1,
            other_password=settings.other_database_password,
        )
    )
    verifier = TokenVerifier(
        JwksFile(settings.jwks_file).keys, issuer=settings.issuer, audience=settings.audience, clock=the_clock
    )
    extra = {"sleep": sleep} if sleep is not None else {}
    client = ServiceClient(settings, telemetry, the_clock, transport=transport, **extra)
    relay = Relay(database, client, telemetry, the_clock)
    context = ServiceContext(
        definition=definition,
        settings=settings,
        clock=the_clock,
        telemetry=telemetry,
        database=database,
        health_database=health,
        verifier=verifier,
        client=client,
        relay=relay,
        relay_worker=Worker("outbox", relay.step, interval=_RELAY_SECONDS),
    )
    _publish_gauges(context)
    return context


def _publish_gauges(context: ServiceContext) -> None:
    pool: Any = context.database.engine.pool

    def connections() -> Iterable[tuple[float, dict[str, str]]]:
        if not hasattr(pool, "checkedout"):
            return
        yield pool.checkedout(), {names.LABEL_CONNECTION_STATE: "used"}
        yield pool.checkedin(), {names.LABEL_CONNECTION_STATE: "idle"}

    def messages() -> Iterable[tuple[float, dict[str, str]]]:
        yield context.relay.backlog.pending, {names.LABEL_STATE: "pending"}
        yield context.relay.backlog.dead, {names.LABEL_STATE: "dead"}

    def oldest() -> Iterable[tuple[float, dict[str, str]]]:
        yield context.relay.backlog.oldest_seconds, {}

    observe = context.telemetry.observe_gauge
    observe(names.CONNECTIONS, "Database connections", (names.LABEL_CONNECTION_STATE,), connections)
    observe(names.OUTBOX_MESSAGES, "Messages in the outbox", (names.LABEL_STATE,), messages)
    observe(names.OUTBOX_OLDEST_AGE, "Age of the oldest message that waits", (), oldest)


def service_context(request: Request) -> ServiceContext:
    """Dependency: the context of this service."""
    context: ServiceContext = request.app.state.context
    return context


def service_state(request: Request) -> Any:
    """Dependency: what the definition's `build` returned."""
    return request.app.state.service
