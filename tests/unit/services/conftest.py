"""What the tests of every service start from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.common.definition import ServiceDefinition
from services.common.testing import FixedClock, TestClient, TokenSigner, make_test_app


class Platform:
    """The other services, as far as a test needs them: takes every message, answers what it was told to."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []
        """(`<service><path>`, body) of each POST, in order."""
        self.answers: dict[str, Callable[[httpx.Request], httpx.Response]] = {}
        """What answers requests whose `<service><path>` begins with the key."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        where = request.url.host + request.url.path
        if where == "identity/oauth/token":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 900})
        for begin, answer in self.answers.items():
            if where.startswith(begin):
                return answer(request)
        if request.method == "POST":
            self.messages.append((where, json.loads(request.content)))
            return httpx.Response(201, json={})
        return httpx.Response(404, json={})

    def sent_to(self, where: str) -> list[dict[str, Any]]:
        """Bodies that were posted to one `<service><path>`."""
        return [body for place, body in self.messages if place == where]

    @property
    def audit(self) -> list[dict[str, Any]]:
        """The audit events that were delivered."""
        return [event for body in self.sent_to("audit/v1/events") for event in body["events"]]


class ServiceClient(TestClient):
    """A test client that can deliver its service's outbox."""

    def deliver(self) -> None:
        relay = self.app.state.context.relay  # type: ignore[attr-defined]
        while relay.step():
            pass


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def signer(clock: FixedClock) -> TokenSigner:
    return TokenSigner(clock)


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
def start(
    tmp_path: Path, clock: FixedClock, signer: TokenSigner, platform: Platform
) -> Iterator[Callable[..., ServiceClient]]:
    """Start a service on SQLite: `start(SERVICE, **settings)`."""
    running: list[ServiceClient] = []

    def start_service(definition: ServiceDefinition, **settings: Any) -> ServiceClient:
        app = make_test_app(
            definition, tmp_path, clock, signer, transport=httpx.MockTransport(platform), **settings
        )
        client = ServiceClient(app)
        client.__enter__()
        running.append(client)
        return client

    yield start_service
    for client in running:
        client.__exit__(None, None, None)
