"""JSON log lines without patient data.

Three guards: request lines carry the route's template, never the path, query or body; exceptions are logged
as their types and frames, never their messages (a database's message quotes values); known sensitive keys are
masked.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, TextIO

import structlog

from services.common.tracing import current

_SENSITIVE = frozenset(
    {
        "authorization", "birth_date", "birthdate", "body", "cookie", "email", "family_name", "given_name",
        "name", "password", "path", "phone", "query", "query_string", "secret", "text", "token", "totp", "url",
        "username",
    }
)  # fmt: skip
MASK = "[withheld]"

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def _trace_ids(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    context = current()
    if context.is_valid:
        line["trace_id"] = format(context.trace_id, "032x")
        line["span_id"] = format(context.span_id, "016x")
    return line


def _mask(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in line:
        if key.lower() in _SENSITIVE:
            line[key] = MASK
    return line


def _exception_frames(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    given = line.pop("exc_info", None)
    if not given:
        return line
    info: Any = given
    if isinstance(given, BaseException):
        info = (type(given), given, given.__traceback__)
    elif not isinstance(given, tuple):
        info = sys.exc_info()
    if info[1] is not None:
        line["error"] = describe_exception(info[1])
    return line


def describe_exception(error: BaseException) -> list[dict[str, Any]]:
    """Types and frames of an exception and its causes, outermost first; no messages, no values."""
    described: list[dict[str, Any]] = []
    current: BaseException | None = error
    while current is not None and len(described) < 5:
        # Without source lines: nothing is read from disk, and no literal of the code is repeated.
        stack = traceback.StackSummary.extract(traceback.walk_tb(current.__traceback__), lookup_lines=False)
        frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in stack]
        entry: dict[str, Any] = {
            "type": f"{type(current).__module__}.{type(current).__qualname__}",
            "frames": frames[-12:],
        }
        state = getattr(getattr(current, "orig", None), "sqlstate", None)
        if state:
            entry["sqlstate"] = state
        described.append(entry)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return described


def configure_logging(
    service: str, region: str, *, stream: TextIO | None = None, level: int = logging.INFO
) -> None:
    """Send structlog and the standard library's logging to `stream` (stdout) as JSON lines."""

    def identify(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {"service": service, "region": region, **line}

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _trace_ids,
        _exception_frames,
        _mask,
        identify,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("alembic", "authlib", "httpx", "httpcore", "uvicorn.access"):
        # httpx logs whole URLs at INFO: they hold pseudonyms. Authlib logs tokens at DEBUG.
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True


def get_logger(name: str) -> Any:
    """A structlog logger; call it with an event name and plain values."""
    return structlog.stdlib.get_logger(name)
