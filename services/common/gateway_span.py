"""The gateway's part of a trace, which it cannot report itself.

HAProxy as Debian builds it speaks no OpenTelemetry. It makes the span's ids, puts them into `traceparent`, and tells in
a header of its own when the request arrived and which span was above it. The first service behind it records the span
on its behalf, from that moment to the end of the answer as this service sees it; so what the gateway needs to pass the
answer's last bytes on is not in it. What the gateway answers itself (a refused token, no such service) has a log line
with the trace's id and no span.

Inside the cluster the header is believed: the gateway replaces whatever the outside sent, and services do not pass it
on.
"""

from __future__ import annotations

import re
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanContext, SpanKind

from services.common.tracing import Attributes, Span, Tracer

HEADER_GATEWAY: Final = "x-vitalops-gateway"
"""`<microseconds since 1970>-<id of the span above, or zeros>`."""
_FORM: Final = re.compile(r"(\d{16})-([0-9a-f]{16})")
_LONGEST_NS: Final = 60 * 10**9
"""A gateway's clock further off than that is wrong, and its span would only mislead."""


def report_gateway(
    tracer: Tracer, gateway: Resource, told: str, own: Span, end: int, attributes: Attributes
) -> bool:
    """Record the gateway's span above `own` (nanoseconds); False where `told` is nothing to go by."""
    found = _FORM.fullmatch(told)
    if found is None or own.parent is None:
        return False
    began = int(found.group(1)) * 1000
    if abs(own.start - began) > _LONGEST_NS:
        return False
    above = int(found.group(2), 16)
    context = own.parent
    parent = SpanContext(context.trace_id, above, True, context.trace_flags) if above else None
    # Two machines' clocks differ by a little: a parent does not begin after its child.
    span = Span("gateway", SpanKind.SERVER, context, parent, min(began, own.start), attributes)
    span.failed = own.failed
    tracer.report(span, gateway, end)
    return True
