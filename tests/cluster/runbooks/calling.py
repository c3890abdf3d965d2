"""A client that goes on asking the platform while a runbook works on it: what it is refused is a finding."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from infra.program.state import active_region
from tests.cluster.conftest import RunningPlatform
from vitalops.conventions import OPERATOR_CLIENT
from vitalops.paths import Paths

TOKEN_SECONDS = 2.0
"""A token is asked for anew so often; the one before is still used until then."""


def active(running: RunningPlatform) -> str:
    """The pair's active region."""
    return active_region(Paths.from_environment().state, running.platform.name, running.pair)


@dataclass
class Caller:
    """`with Caller(running) as caller`: asks for tokens and, with them, for what a database holds. Each request is a
    connection of its own, so that every door is gone through. `refused` are answers of 400 or more, and no answers."""

    running: RunningPlatform
    answers: Counter[str] = field(default_factory=Counter[str])
    refused: list[str] = field(default_factory=list[str])
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Caller:
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        assert self._thread is not None
        self._thread.join(30)

    def token(self) -> str:
        """A new access token of the operator."""
        secret = self.running.access.operator_secret()
        basic = base64.b64encode(f"{OPERATOR_CLIENT}:{secret}".encode()).decode()
        headers = {
            "authorization": f"Basic {basic}",
            "content-type": "application/x-www-form-urlencoded",
        }
        body = urlencode({"grant_type": "client_credentials", "scope": "audit:read"})
        status, text = self.ask("POST", "/identity/oauth/token", headers, body)
        return str(json.loads(text)["access_token"]) if status == 200 else ""

    def ask(self, method: str, path: str, headers: dict[str, str], body: str = "") -> tuple[int, str]:
        """Status and body; 0 and the reason where there was no answer."""
        parts = urlsplit(self.running.edge_url)
        context = ssl.create_default_context(cafile=str(self.running.ca_file))
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=15, context=context
        )
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            status, text = answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            status, text = 0, f"{type(error).__name__}: {error}"
        finally:
            connection.close()
        self.answers[f"{path.split('?')[0]} {status}"] += 1
        if status == 0 or status >= 400:
            self.refused.append(f"{method} {path}: {status} {text[:160]}")
        return status, text

    def _go(self) -> None:
        token, asked = "", 0.0
        while not self._over.is_set():
            if time.monotonic() - asked > TOKEN_SECONDS:
                token, asked = self.token() or token, time.monotonic()
            self.ask("GET", "/audit/v1/events?limit=1", {"authorization": f"Bearer {token}"})
            self._over.wait(0.1)
