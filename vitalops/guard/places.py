"""Asking another place's guard, again and again, over one connection that is made anew when it fails."""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

from vitalops.fencing.report import GUARD_PATH, GuardReport, from_json

POLL_SECONDS: Final = 0.5
ANSWER_SECONDS: Final = 1.0

Heard = Callable[[GuardReport, float], None]


class Asker:
    """One other place. `address` is `host:port`."""

    def __init__(self, place: str, address: str, own: str, context: ssl.SSLContext) -> None:
        host, _, port = address.rpartition(":")
        self.place, self._path = place, f"{GUARD_PATH}?from={own}"
        self._connection = http.client.HTTPSConnection(
            host, int(port), timeout=ANSWER_SECONDS, context=context
        )

    def ask(self) -> tuple[GuardReport, float] | None:
        """Its word, and when it was asked; None where it gave none."""
        for fresh in (False, True):
            if fresh:
                self._connection.close()
            reused = self._connection.sock is not None
            asked = monotonic()
            try:
                self._connection.request("GET", self._path)
                response = self._connection.getresponse()
                text = response.read().decode()
                if response.status == http.client.OK:
                    return from_json(text), asked
                return None
            except (OSError, http.client.HTTPException, ValueError):
                self._connection.close()
                # A connection that the other end has closed meanwhile is no sign of anything; silence is.
                if not reused or monotonic() - asked >= ANSWER_SECONDS / 2:
                    return None
        return None

    def go_on(
        self, heard: Heard, missed: Callable[[str], None], changed: Callable[[], None], ended: threading.Event
    ) -> None:
        """Until `ended`. `changed` is called when a word may change a decision."""
        last: tuple[int, str, bool] | None = None
        while not ended.is_set():
            began = monotonic()
            word = self.ask()
            if word is None:
                missed(self.place)
                last = None
            else:
                report, asked = word
                heard(report, asked)
                now = (report.token, report.active, report.writable)
                if now != last:
                    last = now
                    changed()
            ended.wait(max(0.0, POLL_SECONDS - (monotonic() - began)))
