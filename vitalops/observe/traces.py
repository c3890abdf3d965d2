"""A region's traces: what may be asked, the store that answers (Jaeger), and an in-memory fake of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from vitalops.errors import RemoteError
from vitalops.observe.http import CONNECT_SECONDS, refusal, unreachable
from vitalops.observe.spans import Span, Trace, began

if TYPE_CHECKING:
    import requests

WHAT: Final = "the store of traces"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """Which traces: those with at least one span that fits."""

    start: datetime
    end: datetime
    service: str = ""
    """All where empty."""
    at_least: timedelta | None = None
    """Traces with a span that took at least this long."""
    errors: bool = False
    """Only traces with a span that failed."""
    limit: int = 20


class TraceSource(Protocol):
    """One region's traces. Every method raises RemoteError, naming the region, where there is no answer."""

    @property
    def name(self) -> str: ...

    def trace(self, trace_id: str) -> Trace | None:
        """None where the region does not keep it, or no longer."""
        ...

    def search(self, query: TraceQuery) -> tuple[Trace, ...]:
        """Newest first, `limit` at most."""
        ...

    def services(self) -> tuple[str, ...]:
        """Names of services that the kept spans are of, in order."""
        ...


class JaegerTraces:
    """`TraceSource` over the HTTP API of Jaeger's query service."""

    def __init__(self, name: str, base_url: str, session: requests.Session, *, timeout: float = 30.0) -> None:
        self._name = name
        self._url = f"{base_url}/api"
        self._session = session
        self._timeout = timeout

    @property
    def name(self) -> str:
        return self._name

    def trace(self, trace_id: str) -> Trace | None:
        found = self._read(self._get(f"traces/{trace_id}", {}, missing=True))
        return found[0] if found else None

    def search(self, query: TraceQuery) -> tuple[Trace, ...]:
        # Jaeger searches one service at a time.
        names = (query.service,) if query.service else self.services()
        params = {
            "start": str(_microseconds(query.start)),
            "end": str(_microseconds(query.end)),
            "lookback": "custom",
            "limit": str(query.limit),
        }
        if query.at_least is not None:
            params["minDuration"] = f"{query.at_least // timedelta(microseconds=1)}us"
        if query.errors:
            params["tags"] = json.dumps({"error": "true"})
        found: dict[str, Trace] = {}
        for name in names:
            for trace in self._read(self._get("traces", {**params, "service": name})):
                found[trace.id] = trace
        return newest(found.values(), query.limit)

    def services(self) -> tuple[str, ...]:
        return tuple(sorted(map(str, self._get("services", {}) or ())))

    def _get(self, path: str, params: dict[str, str], *, missing: bool = False) -> Any:
        import requests

        try:
            response = self._session.get(
                f"{self._url}/{path}", params=params, timeout=(CONNECT_SECONDS, self._timeout)
            )
        except requests.RequestException as error:
            raise unreachable(self._name, WHAT, error) from error
        # Whatever it says of its type: Jaeger's own errors are JSON in text/plain.
        body = _document(response.text)
        # Jaeger says itself that it has no such trace; the API server's 404 is another thing.
        if missing and response.status_code == 404 and "errors" in body:
            return []
        if response.status_code != 200:
            raise refusal(self._name, WHAT, response.status_code, _told(body) or response.text)
        if "data" not in body:
            raise RemoteError(f"region {self._name}: {WHAT} answered with something else than traces")
        return body["data"]

    def _read(self, data: Any) -> list[Trace]:
        try:
            traces = [_trace(self._name, item) for item in data or ()]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RemoteError(
                f"region {self._name}: {WHAT} shows traces that cannot be read: {error}"
            ) from error
        return [trace for trace in traces if trace.spans]


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}


def _told(body: Mapping[str, Any]) -> str:
    """Jaeger's own words for what is wrong."""
    return "; ".join(str(error["msg"]) for error in body.get("errors") or () if "msg" in error)


def _trace(region: str, item: Mapping[str, Any]) -> Trace:
    processes = item["processes"]
    spans: dict[str, Span] = {}
    for span in item["spans"]:
        made = _span(span, processes[span["processID"]]["serviceName"])
        # A sender that was not sure sends twice.
        spans.setdefault(made.id, made)
    return Trace(str(item["traceID"]).rjust(32, "0"), region, tuple(sorted(spans.values(), key=began)))


def _span(item: Mapping[str, Any], service: str) -> Span:
    tags = {str(tag["key"]): _text(tag["value"]) for tag in item.get("tags") or ()}
    parents = [ref["spanID"] for ref in item.get("references") or () if ref["refType"] == "CHILD_OF"]
    return Span(
        id=str(item["spanID"]),
        parent_id=str(parents[0]) if parents else "",
        service=service,
        name=str(item["operationName"]),
        start=_EPOCH + timedelta(microseconds=int(item["startTime"])),
        duration=timedelta(microseconds=int(item["duration"])),
        error=tags.get("error") == "true" or tags.get("otel.status_code") == "ERROR",
        tags=tags,
    )


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def newest(traces: Iterable[Trace], limit: int) -> tuple[Trace, ...]:
    """The last `limit` to begin, the newest first."""
    return tuple(sorted(traces, key=lambda trace: (trace.start, trace.id), reverse=True)[:limit])


@dataclass(slots=True)
class FakeTraces:
    """The in-memory fake: searches what a test put in."""

    name: str = "fake"
    traces: list[Trace] = field(default_factory=list[Trace])
    fails_with: Exception | None = None

    def trace(self, trace_id: str) -> Trace | None:
        self._fail()
        return next((trace for trace in self.traces if trace.id == trace_id), None)

    def search(self, query: TraceQuery) -> tuple[Trace, ...]:
        self._fail()
        return newest((trace for trace in self.traces if _matches(trace, query)), query.limit)

    def services(self) -> tuple[str, ...]:
        self._fail()
        return tuple(sorted({span.service for trace in self.traces for span in trace.spans}))

    def _fail(self) -> None:
        if self.fails_with is not None:
            raise self.fails_with


def _matches(trace: Trace, query: TraceQuery) -> bool:
    return any(
        query.start <= span.start < query.end
        and query.service in ("", span.service)
        and (query.at_least is None or span.duration >= query.at_least)
        and (span.error or not query.errors)
        for span in trace.spans
    )
