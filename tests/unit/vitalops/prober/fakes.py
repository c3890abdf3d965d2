"""A platform in memory, as far as a synthetic consultation goes, and a call in which nothing is sent."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx

from tests.unit.vitalops.consultation.test_quality import GOOD
from vitalops.consultation.call import Seat
from vitalops.consultation.http import Edge
from vitalops.consultation.quality import Reception

URL = "https://edge.test"
LIVE = "active-consultation"


def token(**content: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    return f"e30.{payload}.x"


def answer(code: int = 200, /, **content: object) -> httpx.Response:
    return httpx.Response(code, json=content)


@dataclass
class FakePlatform:
    """Answers as the services would. `broken` maps the beginning of a path to an answer that is given instead."""

    broken: dict[str, Callable[[], httpx.Response]] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)
    grants: list[dict[str, str]] = field(default_factory=list)
    booked: set[str] = field(default_factory=set)
    slots: list[dict[str, Any]] = field(default_factory=list)
    state: str = "booked"
    people: int = 0
    nonce: str = ""

    def edge(self, url: str, ca_file: Path, *, via: str, headers: dict[str, str]) -> Edge:
        del ca_file
        return Edge(url, httpx.MockTransport(self), via=via, headers=headers)

    def made(self, prefix: str) -> int:
        """How many requests created something below `prefix`."""
        return sum(each.method == "POST" and each.url.path == prefix for each in self.requests)

    @property
    def counts(self) -> Counter[str]:
        return Counter(f"{each.method} {each.url.path}" for each in self.requests)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        path = request.url.path
        for prefix, instead in self.broken.items():
            if path.startswith(prefix):
                return instead()
        service, _, rest = path.strip("/").partition("/")
        return getattr(self, f"_{service}")(request, rest)

    def _identity(self, request: httpx.Request, path: str) -> httpx.Response:
        match path:
            case ".well-known/openid-configuration":
                ends = {
                    "authorization_endpoint": "authorize",
                    "token_endpoint": "oauth/token",
                    "jwks_uri": "k",
                }
                base = f"{URL}/identity"
                return answer(issuer=base, **{name: f"{base}/{end}" for name, end in ends.items()})
            case "authorize":
                asked = dict(request.url.params)
                self.nonce = asked["nonce"]
                back = f"{asked['redirect_uri']}?code=c-{self.nonce}&state={asked['state']}"
                return httpx.Response(303, headers={"location": back})
            case "oauth/token":
                form = parse_qs(request.content.decode())
                nonce = form.get("code", ["c-"])[0].removeprefix("c-")
                signed = token(nonce=nonce)
                return answer(access_token="t", token_type="Bearer", expires_in=900, id_token=signed)
            case _:
                self.people += 1
                return answer(201, id=f"person-{path}", totp_secret="JBSWY3DPEHPK3PXP")

    def _scheduling(self, request: httpx.Request, path: str) -> httpx.Response:
        body = json.loads(request.content or b"{}")
        if path == "v1/slots":
            self.slots.append(body)
            return answer(201, id=f"slot-{len(self.slots)}", practitioner="d")
        if path == "v1/appointments":
            if body["slot_id"] in self.booked:
                return answer(409, detail="The slot is taken.")
            self.booked.add(body["slot_id"])
            self.state = "booked"
        else:
            self.booked.clear()
        return answer(
            201 if path == "v1/appointments" else 200, id="a1", patient="p", practitioner="d", status="booked"
        )

    def _consent(self, request: httpx.Request, path: str) -> httpx.Response:
        if path == "v1/purposes":
            names = ("care", "teleconsultation")
            return httpx.Response(200, json=[{"name": name, "version": 1} for name in names])
        if request.method == "GET":
            return answer(grants=self.grants)
        body = json.loads(request.content)
        self.grants.append({"purpose": body["purpose"], "practitioner": body["practitioner"]})
        return answer(201, id="g1", proof="x")

    def _consultation(self, request: httpx.Request, path: str) -> httpx.Response:
        view = {"id": "c1", "ended": False, "admitted_at": "now", "media_at": "now"}
        match path.split("/")[2:] if path != "v1/waiting-room" else ["waiting-room"]:
            case ["waiting-room"]:
                return answer(waiting=[view | {"state": "waiting"}])
            case [_, "join"]:
                if self.state != "admitted":
                    return answer(202, status="waiting", position=1)
                return answer(status="admitted", url="wss://edge.test", token="join")
            case [_, "admit"]:
                self.state = "admitted"
            case [_, "complete"]:
                return answer(**view | {"state": "completed", "ended": True})
            case [_, "quality"]:
                streams = [
                    {"media": each["media"], "state": "good"}
                    for each in json.loads(request.content)["streams"]
                ]
                return answer(201, streams=streams)
            case [_, "cancellation"]:
                return answer(**view | {"state": "cancelled", "ended": True})
            case [_]:
                return answer(**view | {"state": "in_call"})
            case _:
                return answer(201, **view | {"state": "booked"})
        return answer(**view | {"state": self.state})

    def _records(self, request: httpx.Request, path: str) -> httpx.Response:
        if request.method == "GET":
            from vitalops.consultation.record import NOTE

            return answer(resourceType="Observation", id="o1", valueString=NOTE)
        kind = path.split("/")[1]
        identifier = "person-v1/patients" if kind == "Patient" else f"{kind}-1"
        return answer(201, resourceType=kind, id=identifier)

    def _prescription(self, request: httpx.Request, path: str) -> httpx.Response:
        del path
        status = 201 if request.method == "POST" else 200
        return answer(status, id="r1", patient="p", document="signed", status="active")


class FakeCall:
    """Everybody joins at once and receives what a good call gives."""

    def __init__(self) -> None:
        self.seats: tuple[Seat, ...] = ()
        self.url = ""
        self.left = False

    async def begin(self, url: str, seats: Sequence[Seat], seconds: float) -> None:
        self.url, self.seats = url, tuple(seats)

    async def joined(self) -> dict[str, float]:
        return {seat.name: 0.1 for seat in self.seats}

    async def flowing(self) -> None:
        return

    async def measured(self) -> tuple[Reception, ...]:
        return (GOOD, replace(GOOD, receiver="practitioner", sender="patient"))

    async def leave(self) -> None:
        self.left = True

    async def close(self) -> None:
        return


@asynccontextmanager
async def fake_call(ca_file: Path) -> AsyncGenerator[FakeCall]:
    del ca_file
    yield FakeCall()
