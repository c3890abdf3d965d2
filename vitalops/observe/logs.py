"""A region's log lines: what may be asked, the store that answers (Loki), and an in-memory fake of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from vitalops.errors import RemoteError
from vitalops.observe.http import get_json

if TYPE_CHECKING:
    import requests

WHAT: Final = "the store of logs"
MOST_LINES: Final = 5000
"""Loki's limit of one answer, set in infra/components/telemetry/logs.py."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Level(IntEnum):
    """How grave a line is; the numbers are OpenTelemetry's (logs data model, SeverityNumber), lowest of each range."""

    DEBUG = 5
    INFO = 9
    WARNING = 13
    ERROR = 17
    CRITICAL = 21


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line as a program printed it."""

    time: datetime
    """UTC, when the container runtime took it."""
    region: str
    service: str
    pod: str
    level: str
    """debug, info, warning, error or critical; empty where the line does not say."""
    text: str
    fields: Mapping[str, Any]
    """Of a JSON line its content; trace_id and span_id where it belongs to a trace."""
    nanoseconds: int = 0
    """`time` exactly, since 1970: lines of one microsecond keep their order."""


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which lines. `start` is included, `end` is not."""

    start: datetime
    end: datetime
    services: tuple[str, ...] = ()
    """All where empty."""
    trace_id: str = ""
    level: Level | None = None
    """This grave or graver. Lines that say no level are left out then."""
    text: str = ""
    """What the line must contain, letter by letter."""
    limit: int = 200
    """Of more lines than this the newest are given."""


class LogSource(Protocol):
    """One region's logs. Every method raises RemoteError, naming the region, where there is no answer."""

    @property
    def name(self) -> str: ...

    def search(self, query: LogQuery) -> tuple[LogLine, ...]:
        """Oldest first."""
        ...

    def services(self, start: datetime, end: datetime) -> tuple[str, ...]:
        """Names under which lines were printed in that time, in order."""
        ...


class LokiLogs:
    """`LogSource` over Loki's HTTP API."""

    def __init__(self, name: str, base_url: str, session: requests.Session, *, timeout: float = 30.0) -> None:
        self._name = name
        self._url = f"{base_url}/loki/api/v1"
        self._session = session
        self._timeout = timeout

    @property
    def name(self) -> str:
        return self._name

    def search(self, query: LogQuery) -> tuple[LogLine, ...]:
        found = self._get(
            "query_range",
            {
                "query": expression(self._name, query),
                "start": str(nanoseconds(query.start)),
                "end": str(nanoseconds(query.end)),
                "limit": str(min(query.limit, MOST_LINES)),
                "direction": "backward",
            },
        )
        try:
            lines = [
                _line(self._name, stream["stream"], int(moment), text)
                for stream in found["result"]
                for moment, text in stream["values"]
            ]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RemoteError(
                f"region {self._name}: {WHAT} shows lines that cannot be read: {error}"
            ) from error
        return tuple(in_order(lines))

    def services(self, start: datetime, end: datetime) -> tuple[str, ...]:
        params = {"start": str(nanoseconds(start)), "end": str(nanoseconds(end))}
        return tuple(sorted(map(str, self._get("label/service/values", params) or ())))

    def _get(self, path: str, params: dict[str, str]) -> Any:
        body = get_json(
            self._session,
            f"{self._url}/{path}",
            region=self._name,
            what=WHAT,
            params=params,
            timeout=self._timeout,
        )
        if not isinstance(body, dict) or "status" not in body:
            raise RemoteError(f"region {self._name}: {WHAT} answered with something else than logs")
        return cast(dict[str, Any], body).get("data")


def expression(region: str, query: LogQuery) -> str:
    """The query in LogQL. Words of the line come first: they rule most lines out cheaply."""
    selector = [f"region={_quoted(region)}"]
    if len(query.services) == 1:
        selector.append(f"service={_quoted(query.services[0])}")
    elif query.services:
        selector.append(f"service=~{_quoted('|'.join(map(re.escape, query.services)))}")
    parts = [f"{{{', '.join(selector)}}}"]
    if query.text:
        parts.append(f"|= {_quoted(query.text)}")
    if query.trace_id:
        parts.append(f"| trace_id = {_quoted(query.trace_id)}")
    if query.level is not None:
        parts.append(f"| severity_number >= {int(query.level)}")
    # When a line was read tells the copies of one line apart that a new shipper sends: without it they are one.
    parts.append("| drop observed_timestamp")
    return " ".join(parts)


def _quoted(text: str) -> str:
    # JSON's strings are strings of LogQL (Go's): both escape quotes, backslashes and control characters alike.
    return json.dumps(text, ensure_ascii=False)


def nanoseconds(time: datetime) -> int:
    """Since 1970, exactly."""
    return (time - _EPOCH) // timedelta(microseconds=1) * 1000


def level_of(severity_number: int) -> str:
    """The level's name of an OpenTelemetry severity number; empty for one that says nothing."""
    reached = [level for level in Level if severity_number >= level]
    if reached:
        return reached[-1].name.lower()
    return Level.DEBUG.name.lower() if severity_number > 0 else ""


def _line(region: str, labels: Mapping[str, str], moment: int, text: str) -> LogLine:
    fields = _json_fields(text)
    for key in ("trace_id", "span_id"):
        if labels.get(key):
            fields[key] = labels[key]
    return LogLine(
        time=_EPOCH + timedelta(microseconds=moment // 1000),
        region=labels.get("region", region),
        service=labels.get("service", ""),
        pod=labels.get("pod", ""),
        level=level_of(int(labels.get("severity_number", "0"))),
        text=text,
        fields=fields,
        nanoseconds=moment,
    )


def _json_fields(text: str) -> dict[str, Any]:
    if not text.startswith("{"):
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}


def in_order(lines: Iterable[LogLine]) -> list[LogLine]:
    """By time; lines of the same moment by region and pod, in the order in which they were given."""
    return sorted(lines, key=lambda line: (line.nanoseconds, line.region, line.pod))


def newest(lines: Sequence[LogLine], limit: int) -> tuple[LogLine, ...]:
    """The last `limit` of lines that are in order."""
    return tuple(lines[-limit:]) if limit > 0 else ()


OVERLAP: Final = timedelta(seconds=15)
"""How far a following search looks back: lines arrive a second or two after they were printed, and not in order."""


@dataclass(slots=True)
class Follower:
    """Asks one source again and again for what is new, and gives every line once."""

    source: LogSource
    query: LogQuery
    """Its `start` is where following begins; `end` and `limit` do not count."""
    _asked: datetime | None = None
    _given: set[tuple[int, str, str]] = field(default_factory=set[tuple[int, str, str]])

    def poll(self, now: datetime) -> Iterator[LogLine]:
        """Lines that have arrived since the last call, oldest first."""
        start = self.query.start
        if self._asked is not None:
            start = max(start, self._asked - OVERLAP)
        # Clocks of nodes may be ahead of this one.
        asked = replace(self.query, start=start, end=now + OVERLAP, limit=MOST_LINES)
        found = self.source.search(asked)
        before, self._given = self._given, {_identity(line) for line in found}
        self._asked = now
        return (line for line in found if _identity(line) not in before)


def _identity(line: LogLine) -> tuple[int, str, str]:
    return line.nanoseconds, line.pod, line.text


@dataclass(slots=True)
class FakeLogs:
    """The in-memory fake: searches what a test put in."""

    name: str = "fake"
    lines: list[LogLine] = field(default_factory=list[LogLine])
    fails_with: Exception | None = None

    def search(self, query: LogQuery) -> tuple[LogLine, ...]:
        if self.fails_with is not None:
            raise self.fails_with
        return newest(in_order(line for line in self.lines if _matches(line, query)), query.limit)

    def services(self, start: datetime, end: datetime) -> tuple[str, ...]:
        if self.fails_with is not None:
            raise self.fails_with
        return tuple(sorted({line.service for line in self.lines if start <= line.time < end}))


def _matches(line: LogLine, query: LogQuery) -> bool:
    if query.level is not None and (not line.level or Level[line.level.upper()] < query.level):
        return False
    return (
        query.start <= line.time < query.end
        and (not query.services or line.service in query.services)
        and (not query.trace_id or line.fields.get("trace_id") == query.trace_id)
        and query.text in line.text
    )
