"""Somebody's pager, as Alertmanager sees it: a webhook that checks the bearer token and keeps what it is told."""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Notice:
    """One alert of one message. `at` is seconds since the epoch, when the message was here."""

    at: float
    status: str
    """firing or resolved."""
    labels: Mapping[str, str]

    def is_about(self, labels: Mapping[str, str]) -> bool:
        return labels.items() <= self.labels.items()


@dataclass(slots=True)
class Receiver:
    """What was received, in order. `refused` counts messages without the right token."""

    url: str
    notices: list[Notice] = field(default_factory=list[Notice])
    refused: int = 0
    _news: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def take(self, document: dict[str, Any], at: float) -> None:
        with self._news:
            self.notices += [Notice(at, each["status"], each["labels"]) for each in document["alerts"]]
            self._news.notify_all()

    def about(self, labels: Mapping[str, str], status: str, since: float = 0.0) -> list[Notice]:
        with self._news:
            return [
                each
                for each in self.notices
                if each.status == status and each.at >= since and each.is_about(labels)
            ]

    def pending(self, labels: Mapping[str, str]) -> bool:
        """Whether the last notice about alerts with these labels said that they fire."""
        with self._news:
            said = [each.status for each in self.notices if each.is_about(labels)]
        return bool(said) and said[-1] == "firing"

    def wait_for(
        self,
        labels: Mapping[str, str],
        status: str,
        seconds: float,
        *,
        since: float = 0.0,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Notice:
        """The first notice of that status about an alert with these labels.

        Calls `meanwhile` about once a second. Raises TimeoutError naming what came instead.
        """
        deadline = time.monotonic() + seconds
        while not (found := self.about(labels, status, since)):
            if time.monotonic() >= deadline:
                seen = sorted({f"{each.labels.get('alertname')} {each.status}" for each in self.notices})
                raise TimeoutError(
                    f"no {status} notice about {dict(labels)} within {seconds:g} s; received: {', '.join(seen)}"
                )
            with self._news:
                self._news.wait(min(1.0, max(0.0, deadline - time.monotonic())))
            meanwhile()
        return found[0]


@contextmanager
def receiver(token: str, address: str = "127.0.0.1", port: int = 0) -> Iterator[Receiver]:
    """A webhook at `address` that takes messages with this bearer token. Raises OSError where it cannot listen."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            at = time.time()
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            given = self.headers.get("authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
                kept.refused += 1
                self.send_error(401)
                return
            kept.take(json.loads(body), at)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = ThreadingHTTPServer((address, port), Handler)
    kept = Receiver(f"http://{address}:{server.server_address[1]}/pager")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
