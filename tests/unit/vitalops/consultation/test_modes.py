"""What calls may be, asked and set as the operator; what goes wrong is one line."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from vitalops.consultation import modes
from vitalops.consultation.access import Access
from vitalops.consultation.http import Edge
from vitalops.consultation.modes import ServiceCallModes
from vitalops.errors import RemoteError
from vitalops.ports.media import CallMode
from vitalops.secretstore.port import InMemorySecretStore


class Platform:
    """Identity and consultation, as far as they are asked."""

    def __init__(self) -> None:
        self.mode, self.obeys, self.down = "video", True, False

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("refused")
        if request.url.path == "/identity/oauth/token":
            assert b"client_secret=s3cret" in request.content
            return httpx.Response(200, json={"access_token": "t", "token_type": "Bearer", "expires_in": 900})
        assert request.headers["authorization"] == "Bearer t"
        if request.method == "PUT" and self.obeys:
            self.mode = json.loads(request.content)["mode"]
        return httpx.Response(200, json={"mode": self.mode, "since": None})


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Platform:
    made = Platform()

    class Local(Edge):
        @classmethod
        def over_tls(cls, url: str, ca_file: Path, **more: object) -> Edge:  # type: ignore[override]
            del ca_file, more
            return Edge(url, httpx.MockTransport(made.answer))

    monkeypatch.setattr(modes, "Edge", Local)
    return made


@pytest.fixture
def calls(tmp_path: Path) -> ServiceCallModes:
    store = InMemorySecretStore()
    store.replace("france/clients/vitalops-operator", "s3cret")
    return ServiceCallModes(Access("france", "https://edge.test", store, tmp_path / "ca.crt"))


def test_it_is_asked_and_set(platform: Platform, calls: ServiceCallModes) -> None:
    assert calls.mode() is CallMode.VIDEO
    calls.set_mode(CallMode.AUDIO)
    assert platform.mode == "audio"
    assert calls.mode() is CallMode.AUDIO


def test_a_service_that_does_not_obey_is_told_of(platform: Platform, calls: ServiceCallModes) -> None:
    platform.obeys = False
    with pytest.raises(RemoteError, match="calls of france are video, not low, after they were set"):
        calls.set_mode(CallMode.LOW)


def test_no_way_in_is_one_line(platform: Platform, calls: ServiceCallModes) -> None:
    platform.down = True
    with pytest.raises(
        RemoteError, match="what calls of france may be: POST /identity/oauth/token"
    ) as raised:
        calls.mode()
    assert "\n" not in str(raised.value)


def test_rungs_are_in_order() -> None:
    assert [mode.down() for mode in CallMode] == [
        CallMode.LOW,
        CallMode.AUDIO,
        CallMode.CALLBACK,
        CallMode.CALLBACK,
    ]
    assert [mode.up() for mode in CallMode] == [
        CallMode.VIDEO,
        CallMode.VIDEO,
        CallMode.LOW,
        CallMode.AUDIO,
    ]
