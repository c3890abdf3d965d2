"""The database of one service: engine, transactions, and what role the server plays.

A session is a unit of work: it commits when the endpoint has returned and before the response is sent, and
rolls back on any exception. Statements that take too long, or wait too long for a lock, are cut by the
server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Depends, Request
from opentelemetry.trace import SpanKind
from sqlalchemy import URL, Engine, ExceptionContext, create_engine, event, text
from sqlalchemy.orm import Session, sessionmaker

from services.common.tracing import Span, Tracer, current

Role = Literal["primary", "standby"]

_SERVER_OPTIONS = " ".join(
    f"-c {setting}"
    for setting in (
        "statement_timeout=5000",
        "lock_timeout=2000",
        "idle_in_transaction_session_timeout=15000",
        "timezone=UTC",
    )
)
_READ_ONLY = "25006"
_SPAN = "vitalops.span"
SESSION_FINALLY = "vitalops.finally"
SESSION_COMMITTED = "vitalops.committed"


def make_engine(url: URL, *, service: str, pool_size: int = 5, other_password: str = "") -> Engine:
    """An engine with a small pool and short time limits; parameters never appear in its errors.

    `other_password` is tried where the server refuses the one in `url`: one of them is valid while they are replaced.
    """
    if url.get_backend_name() != "postgresql":
        return create_engine(
            url, hide_parameters=True, connect_args={"check_same_thread": False, "timeout": 5}
        )
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=3,
        pool_pre_ping=True,
        pool_recycle=900,
        hide_parameters=True,
        connect_args={"connect_timeout": 2, "application_name": service, "options": _SERVER_OPTIONS},
    )

    if other_password:
        event.listen(engine, "do_connect", partial(_connect_with_either, other_password))

    @event.listens_for(engine, "handle_error")
    def drop_read_only(context: ExceptionContext) -> None:  # pyright: ignore[reportUnusedFunction]
        # A pool that points at a server which is (or has become) a standby must look for the primary again.
        if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
            context.is_disconnect = True

    return engine


def _connect_with_either(
    other_password: str, dialect: Any, _: Any, arguments: tuple[Any, ...], parameters: dict[str, Any]
) -> Any:
    try:
        return dialect.connect(*arguments, **parameters)
    except dialect.loaded_dbapi.OperationalError as error:
        if "password authentication failed" not in str(error):
            raise
        return dialect.connect(*arguments, **{**parameters, "password": other_password})


def trace_statements(engine: Engine, tracer: Tracer) -> None:
    """One client span per statement: its first word, its text and the database, never its parameters."""
    system = engine.dialect.name

    @event.listens_for(engine, "before_cursor_execute")
    def before(  # pyright: ignore[reportUnusedFunction]
        conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        parent = current()
        if not parent.trace_flags.sampled:
            # Nor is polling in the background traced: it has no parent, and would only fill the trace store.
            return
        operation = statement.lstrip()[:24].split(None, 1)[0].upper()
        span = tracer.begin(f"{operation} {system}", SpanKind.CLIENT, parent)
        span.attributes = {
            "db.system.name": system,
            "db.operation.name": operation,
            # The text holds placeholders only: SQLAlchemy binds every value.
            "db.query.text": statement[:500],
        }
        conn.info[_SPAN] = span

    @event.listens_for(engine, "after_cursor_execute")
    def after(  # pyright: ignore[reportUnusedFunction]
        conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        span: Span | None = conn.info.pop(_SPAN, None)
        if span is not None:
            tracer.end(span)

    @event.listens_for(engine, "handle_error")
    def failed(context: ExceptionContext) -> None:  # pyright: ignore[reportUnusedFunction]
        connection = context.connection
        span: Span | None = connection.info.pop(_SPAN, None) if connection is not None else None
        if span is not None:
            span.attributes["error.type"] = type(context.original_exception).__name__
            span.failed = True
            tracer.end(span)


class Database:
    """Transactions and facts about the server of one service."""

    def __init__(self, engine: Engine, *, defaults: dict[str, Any] | None = None) -> None:
        self.engine = engine
        self._factory = sessionmaker(engine, expire_on_commit=False)
        self._defaults = defaults or {}

    @property
    def is_postgresql(self) -> bool:
        """Whether PostgreSQL's locks and SKIP LOCKED can be used."""
        return self.engine.dialect.name == "postgresql"

    @contextmanager
    def transaction(self) -> Generator[Session]:
        """A session that commits at the end of the block and rolls back on any exception."""
        session = self._factory(info={**self._defaults, SESSION_FINALLY: [], SESSION_COMMITTED: []})
        try:
            yield session
            session.commit()
            for callback in session.info[SESSION_COMMITTED]:
                callback()
        except BaseException:
            session.rollback()
            raise
        finally:
            session.close()
            for callback in session.info[SESSION_FINALLY]:
                callback()

    def role(self) -> Role:
        """`standby` while the server replays another's changes; raises DBAPIError when it cannot be asked."""
        if not self.is_postgresql:
            return "primary"
        with self.engine.connect() as connection:
            return "standby" if connection.scalar(text("SELECT pg_is_in_recovery()")) else "primary"

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def finally_do(session: Session, callback: Callable[[], None]) -> None:
    """Run `callback` when the session's transaction has ended, however it ended."""
    session.info[SESSION_FINALLY].append(callback)


def when_committed(session: Session, callback: Callable[[], None]) -> None:
    """Run `callback` once the session's transaction has been committed."""
    session.info[SESSION_COMMITTED].append(callback)


def is_standby(session: Session) -> bool:
    """Whether this session's server replays another's changes and takes no writes."""
    if session.get_bind().dialect.name != "postgresql":
        return False
    return bool(session.scalar(text("SELECT pg_is_in_recovery()")))


def wait_until_reachable(engine: Engine, *, seconds: float) -> None:
    """Wait for the server; raises the last error after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))
            return
        except Exception:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.5)


def session_dependency(request: Request) -> Iterator[Session]:
    """The request's unit of work."""
    context = request.app.state.context
    with context.unit_of_work() as session:
        yield session


# Function scope: the commit happens before the response is sent, so a 2xx means it is stored.
SessionDep = Annotated[Session, Depends(session_dependency, scope="function")]
