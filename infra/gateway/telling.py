"""How the gateway tells of a request: ids it gives, a trace it begins or continues, one log line."""

from __future__ import annotations

from typing import Final

from vitalops import conventions as c

_CHANCES: Final = 1_000_000


def identify(trace_ratio: float) -> str:
    """Rules that give every request its ids, and the services what they need to report the gateway's span.

    HAProxy as Debian builds it exports no spans. It takes the place of the outside's span in `traceparent`, and tells
    in a header of its own when the request arrived and what was above it; the first service behind it records the span
    (services/common/gateway_span.py). Whether a trace is recorded is decided here, by chance: a client that could
    decide it could fill the trace store.
    """
    return f"""\
  # Ids: a well-formed one from outside is kept, so that a call can be followed through every log. Each is read once:
  # what is tested is what is used, however often the header was sent.
  http-request set-var(txn.began) date(0,us)
  http-request set-var(txn.given_id) req.fhdr({c.HEADER_REQUEST_ID})
  http-request set-var(txn.request_id) uuid()
  http-request set-var(txn.request_id) var(txn.given_id) \
if {{ var(txn.given_id) -m reg ^[A-Za-z0-9_-]{{8,64}}$ }}
  http-request set-header {c.HEADER_REQUEST_ID} %[var(txn.request_id)]

  # The trace (W3C Trace Context): the outside's where it names one, and the gateway's own span in it.
  http-request set-var(txn.given_trace) req.fhdr(traceparent)
  acl traced var(txn.given_trace) -m reg ^00-[0-9a-f]{{32}}-[0-9a-f]{{16}}-[0-9a-f]{{2}}$
  acl traced_nowhere var(txn.given_trace) -m reg ^00-0{{32}}- -0{{16}}-..$
  http-request set-var(txn.trace_id) uuid(),regsub(-,,g)
  http-request set-var(txn.above) str({"0" * 16})
  http-request set-var(txn.trace_id) var(txn.given_trace),field(2,-) if traced !traced_nowhere
  http-request set-var(txn.above) var(txn.given_trace),field(3,-) if traced !traced_nowhere
  http-request set-var(txn.span_id) uuid(),regsub(-,,g),bytes(0,16)
  http-request set-var(txn.recorded) str(00)
  http-request set-var(txn.recorded) str(01) if {{ rand({_CHANCES}) lt {round(trace_ratio * _CHANCES)} }}
  http-request set-header traceparent 00-%[var(txn.trace_id)]-%[var(txn.span_id)]-%[var(txn.recorded)]
  http-request set-header {c.HEADER_GATEWAY_SPAN} %[var(txn.began)]-%[var(txn.above)]
  # Free text from outside, which services would pass on and the trace store would keep.
  http-request del-header tracestate
  http-request del-header baggage

  # Requests of the prober: routed to the twins of the services' backends, and counted there.
  acl synthetic req.fhdr({c.HEADER_SYNTHETIC}) -m str 1
  http-request del-header {c.HEADER_SYNTHETIC} unless synthetic
  # Segments of a path that may be somebody's or something's name do not reach the log.
  http-request set-var(txn.log_path) path,regsub([^/]*[^/A-Za-z._-][^/]*,:id,g)
"""


def log_format(region: str) -> str:
    """One JSON line a request, with the fields of the services' lines. No query string, no header, no identifier."""
    # The time of the line, with microseconds; both parts come from the same reading of the clock.
    seconds, fraction = "date(),utime(%Y-%m-%dT%H:%M:%S)", "date(0,us),regsub(^[0-9]{10},)"
    fields = (
        f'"timestamp":"%[{seconds}].%[{fraction}]Z"',
        '"level":"info"',
        '"service":"gateway"',
        f'"region":"{region}"',
        '"event":"request"',
        '"request_id":"%[var(txn.request_id)]"',
        '"trace_id":"%[var(txn.trace_id)]"',
        '"span_id":"%[var(txn.span_id)]"',
        '"method":"%HM"',
        '"path":"%[var(txn.log_path),json(utf8s)]"',
        '"status":%ST',
        '"bytes":%B',
        '"ms":%Ta',
        '"backend":"%b"',
        '"end":"%tsc"',
    )
    return f"  log-format '{{{','.join(fields)}}}'\n"
