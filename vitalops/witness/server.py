"""The witness's two pages over TLS: its word for the regions' guards, and how it stands, for people.

A few lines of HTTP/1.1 (RFC 9112) for GET alone: the witness must be small, and nobody else asks it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from vitalops.errors import UsageError
from vitalops.fencing.report import GUARD_PATH, GuardReport, to_json

STATUS_PATH = "/v1/status"
REQUEST_SECONDS = 10.0
"""A connection on which nothing is asked for so long is closed."""
MOST_HEAD = 8192


@dataclass(frozen=True, slots=True)
class Pages:
    """What is answered. `report` gives None where the region that asks is refused leave."""

    report: Callable[[str], GuardReport | None]
    status: Callable[[], Mapping[str, Any]]

    def answer(self, target: str) -> tuple[int, str]:
        """Status and JSON body for a request's target."""
        split = urlsplit(target)
        if split.path == STATUS_PATH:
            return 200, json.dumps(self.status())
        if split.path != GUARD_PATH:
            return 404, '{"title":"not found"}'
        report = self.report(parse_qs(split.query).get("from", [""])[0])
        if report is None:
            return 503, '{"title":"this region was found lost; another one is being made active"}'
        return 200, to_json(report)


async def serve(pages: Pages, host: str, port: int, context: ssl.SSLContext) -> asyncio.Server:
    """Listens from now on. Raises UsageError where it cannot."""

    async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(
            asyncio.CancelledError,  # at the end of the process; asyncio would print it
            ConnectionError,
            ssl.SSLError,
            TimeoutError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
        ):
            while await _one(pages, reader, writer):
                pass
        with contextlib.suppress(Exception):
            writer.close()

    try:
        return await asyncio.start_server(
            serve_connection, host, port, ssl=context, limit=MOST_HEAD, reuse_address=True
        )
    except OSError as error:
        raise UsageError(
            f"the witness cannot listen on {host}:{port}: {error.strerror or error}",
            hint="another witness? vitalops witness status; the address exists while local regions run",
        ) from None


async def _one(pages: Pages, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """One request; whether another may follow."""
    async with asyncio.timeout(REQUEST_SECONDS):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, _, rest = head.partition("\r\n")
    method, _, remaining = line.partition(" ")
    target = remaining.rpartition(" ")[0]
    # A body is not read, so what comes after it cannot be told from it.
    keep = (
        method == "GET" and "connection: close" not in rest.lower() and "content-length" not in rest.lower()
    )
    status, body = pages.answer(target) if method == "GET" else (405, '{"title":"GET only"}')
    content = body.encode()
    writer.write(
        f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(content)}\r\nconnection: {'keep-alive' if keep else 'close'}\r\n\r\n".encode()
        + content
    )
    await writer.drain()
    return keep


_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}
