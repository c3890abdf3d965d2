"""Spans: OpenTelemetry's contexts and data model, recorded by little code.

Made this way because it is cheap. On the machine of the benchmarks one span of the SDK's own tracer costs the request
30 to 40 microseconds and one of these 3 to 5, and a request has about six: itself, the gateway's, and one a statement.

Where a trace begins, chance decides whether it is recorded, by the ratio; everything after follows that decision
(W3C Trace Context's `sampled` flag). Ids are made either way: they are in the log lines.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from opentelemetry import context as current_context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

PROPAGATOR: Final = TraceContextTextMapPropagator()
"""W3C trace context: the one format that goes in and out."""
TRACEPARENT: Final = "traceparent"
SCOPE: Final = InstrumentationScope("vitalops.services")

Attributes = dict[str, str | int]
Ship = Callable[[ReadableSpan], None]

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_UNSAMPLED: Final = TraceFlags(TraceFlags.DEFAULT)
_OK: Final = Status(StatusCode.UNSET)
_FAILED: Final = Status(StatusCode.ERROR)


@dataclass(slots=True)
class Span:
    """A span under way. Change its name and attributes until it ends."""

    name: str
    kind: SpanKind
    context: SpanContext
    parent: SpanContext | None
    start: int
    """Nanoseconds since 1970."""
    attributes: Attributes = field(default_factory=Attributes)
    links: Sequence[Link] = ()
    failed: bool = False


def current() -> SpanContext:
    """The context of what is being done now; its `is_valid` is false where nothing is."""
    return get_current_span().get_span_context()


def parse(traceparent: str) -> SpanContext | None:
    """The context that a `traceparent` names, or None where it is malformed or empty."""
    if not traceparent:
        return None
    context = get_current_span(PROPAGATOR.extract({TRACEPARENT: traceparent})).get_span_context()
    return context if context.is_valid else None


class Tracer:
    """Makes the spans of one service process."""

    def __init__(self, resource: Resource, *, ratio: float = 1.0, ship: Ship | None = None) -> None:
        self.resource = resource
        self._bound = round(ratio * 2**64)
        self._ship = ship

    def begin(
        self,
        name: str,
        kind: SpanKind,
        parent: SpanContext | None = None,
        links: Sequence[Link] = (),
        *,
        quiet: bool = False,
    ) -> Span:
        """A new span below `parent`, or of a new trace, which is not recorded where it is `quiet`.

        It is nobody's parent until `span` makes it current.
        """
        if parent is not None:
            trace_id, flags = parent.trace_id, parent.trace_flags
        else:
            trace_id = random.getrandbits(128) or 1
            flags = _UNSAMPLED if quiet else self._decide(trace_id)
        context = SpanContext(trace_id, random.getrandbits(64) or 1, False, flags)
        return Span(name, kind, context, parent, time.time_ns(), links=links)

    def end(self, span: Span) -> None:
        """Record a span that has ended now, where its trace is recorded."""
        if self._ship is not None and span.context.trace_flags.sampled:
            self._ship(self._finished(span, self.resource, time.time_ns()))

    def report(self, span: Span, resource: Resource, end: int) -> None:
        """Record a span on behalf of another process, which `resource` names, as having ended at `end` (ns)."""
        if self._ship is not None and span.context.trace_flags.sampled:
            self._ship(self._finished(span, resource, end))

    @contextmanager
    def span(
        self,
        name: str,
        kind: SpanKind,
        parent: SpanContext | None = None,
        links: Sequence[Link] = (),
        *,
        quiet: bool = False,
    ) -> Generator[Span]:
        """A span around the block, current within it. An exception marks it as failed and goes on."""
        span = self.begin(name, kind, parent, links, quiet=quiet)
        token = current_context.attach(set_span_in_context(NonRecordingSpan(span.context)))
        try:
            yield span
        except BaseException as error:
            span.failed = True
            # Its type alone: a message may quote values.
            span.attributes["error.type"] = type(error).__name__
            raise
        finally:
            current_context.detach(token)
            self.end(span)

    def _decide(self, trace_id: int) -> TraceFlags:
        return _SAMPLED if trace_id & (2**64 - 1) < self._bound else _UNSAMPLED

    @staticmethod
    def _finished(span: Span, resource: Resource, end: int) -> ReadableSpan:
        return ReadableSpan(
            span.name,
            span.context,
            span.parent,
            resource,
            span.attributes,
            links=span.links,
            kind=span.kind,
            status=_FAILED if span.failed else _OK,
            start_time=span.start,
            end_time=end,
            instrumentation_scope=SCOPE,
        )
