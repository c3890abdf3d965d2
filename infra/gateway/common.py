"""What the gateway and the edge have in common: limits, error pages, log lines."""

from __future__ import annotations

from typing import Final

PROBLEMS: Final = {
    400: "Bad request",
    408: "Request timeout",
    500: "Internal error",
    502: "Bad gateway",
    503: "Service unavailable",
    504: "Gateway timeout",
}

DEFAULTS: Final = """\
defaults
  mode http
  log global
  option httplog
  option dontlognull
  option http-keep-alive
  option redispatch
  retries 2
  timeout connect 2s
  timeout queue 5s
  timeout http-request 10s
  timeout http-keep-alive 60s
  timeout client 30s
  timeout client-fin 5s
  timeout server 30s
  timeout tunnel 2h
"""


def problem(status: int, title: str) -> str:
    """An RFC 9457 body."""
    return f'{{"type":"about:blank","title":"{title}","status":{status}}}'


def error_pages() -> str:
    """HAProxy's own errors as problem documents."""
    return "".join(
        f"  http-error status {status} content-type application/problem+json string '{problem(status, title)}'\n"
        for status, title in PROBLEMS.items()
    )


def refuse(status: int, title: str, condition: str, *headers: tuple[str, str]) -> str:
    """A rule that answers with a problem document and the request's id."""
    written = "".join(f' hdr {name} "{value}"' for name, value in headers)
    body = (
        f'{{"type":"about:blank","title":"{title}","status":{status},"request_id":"%[var(txn.request_id)]"}}'
    )
    return (
        f"  http-request return status {status} content-type application/problem+json{written}"
        f" lf-string '{body}' {condition}\n"
    )
