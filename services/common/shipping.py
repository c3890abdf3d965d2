"""Takes finished spans to the trace store by OTLP over HTTP, and never gets in the way.

Whoever ends a span appends to a bounded queue and goes on. A thread of its own sends what has gathered, once a second.
A store that does not answer costs nobody anything: what it did not take is dropped and counted, the next attempts come
at longer and longer intervals, and the log says so once when it begins and once when it is over.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

import httpx
from opentelemetry.sdk.trace import ReadableSpan

from services.common.logs import get_logger
from services.common.otlp import encode

log = get_logger("services.traces")

QUEUE: Final = 4096
BATCH: Final = 512
INTERVAL_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 30.0
STOP_SECONDS: Final = 2.0
_TIMEOUT: Final = httpx.Timeout(1.0, connect=0.5)
_HEADERS: Final = {"content-type": "application/x-protobuf", "user-agent": "vitalops-traces"}


class SpanShipper:
    """Sends spans to `<endpoint>/v1/traces`."""

    def __init__(self, endpoint: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self._url = endpoint.rstrip("/") + "/v1/traces"
        self._http = httpx.Client(transport=transport, timeout=_TIMEOUT, headers=_HEADERS)
        self._queue: deque[ReadableSpan] = deque()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._failures = 0
        self.sent = 0
        self.dropped = 0
        """Spans that found the queue full, or that the store did not take."""

    def ship(self, span: ReadableSpan) -> None:
        """Queue one span; drop it where the queue is full."""
        if len(self._queue) >= QUEUE:
            self.dropped += 1
            return
        self._queue.append(span)
        if self._thread is None:
            self._start()

    def step(self) -> bool:
        """Send what is queued, a batch at a time; False as soon as one is not taken."""
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            if not self._send(batch):
                self.dropped += len(batch)
                return False
            self.sent += len(batch)
        return True

    def close(self) -> None:
        """Send what is left in one last attempt and end; takes at most `STOP_SECONDS`."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
        self._http.close()

    def pause(self) -> float:
        """Seconds until the next attempt: one, or doubling up to half a minute while there is no answer."""
        return min(LONGEST_PAUSE_SECONDS, INTERVAL_SECONDS * 2 ** min(self._failures, 16))

    def _start(self) -> None:
        # With the first span: an application that is only built, in a test or for its schema, has no thread.
        with self._lock:
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(self.pause()):
            self.step()
        deadline = time.monotonic() + STOP_SECONDS
        while self._queue and time.monotonic() < deadline and self.step():
            pass

    def _send(self, batch: list[ReadableSpan]) -> bool:
        try:
            body = encode(batch)
            answer = self._http.post(self._url, content=body)
            reason = "" if answer.is_success else f"HTTP {answer.status_code}"
        except Exception as error:
            # Whatever it was, it must not end the thread.
            reason = type(error).__name__
        if reason:
            if not self._failures:
                log.warning("traces are not taken", reason=reason)
            self._failures += 1
            return False
        if self._failures:
            log.info("traces are taken again", dropped=self.dropped)
            self._failures = 0
        return True
