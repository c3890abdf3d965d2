"""The receiver over HTTP, in this process: who gets in, what is refused, and what a page shows."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from runbooks.engine.model import Risk
from runbooks.engine.runs import RunState
from runbooks.serve import web
from runbooks.serve.commits import MOST_WAITING, GroupCommits
from runbooks.serve.desk import Desk
from runbooks.serve.incidents import IncidentState
from runbooks.serve.people import People
from runbooks.serve.web import MOST_BYTES, WEBHOOK_PATH, Site, application
from tests.unit.runbooks.serve.conftest import SINCE, Effects, Receiver, counting, notice
from vitalops import halt
from vitalops.errors import RemoteError
from vitalops.model.platform import Platform
from vitalops.secretstore import InMemorySecretStore

TOKEN = "a-token-of-the-tests"
BEARER = {"authorization": f"Bearer {TOKEN}"}


def posted(*numbers: int, **labels: str) -> bytes:
    alerts = [
        {
            "status": "firing",
            "labels": dict(notice(number, **labels).labels),
            "annotations": {"summary": "it <b>burns</b>"},
            "startsAt": SINCE.isoformat(),
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": f"{number:016x}",
        }
        for number in numbers
    ]
    return json.dumps({"version": "4", "alerts": alerts}).encode()


class Served:
    """The application and a browser at it."""

    def __init__(self, receiver: Receiver, commits: GroupCommits) -> None:
        self.receiver = receiver
        self.people = People(InMemorySecretStore(), receiver.clock)
        desk = Desk(
            "vitalops", receiver.store, receiver.engine, receiver.journal, receiver.halt_file, receiver.clock
        )
        site = Site(
            "vitalops", commits, desk, self.people, lambda: {"switzerland": "x", "france": TOKEN}, False
        )
        self.app = application(site)
        self.cookies = httpx.Cookies()

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://oncall", cookies=self.cookies
            ) as client:
                answer = await client.request(method, path, **options)
                self.cookies = client.cookies
                return answer

        return asyncio.run(ask())

    def alert(self, body: bytes, **headers: str) -> httpx.Response:
        return self("POST", WEBHOOK_PATH, content=body, headers={**BEARER, **headers})

    def log_in(self, name: str = "anne") -> None:
        answer = self("POST", "/login", data={"name": name, "token": self.people.add(name)})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")

    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self("GET", "/").text)
        assert found is not None
        return found[1]

    def decide(self, path: str, **fields: str) -> httpx.Response:
        return self("POST", path, data={"csrf": self.csrf(), **fields})


@pytest.fixture
def served(receiver: Receiver) -> Iterator[Served]:
    with GroupCommits(receiver.store, receiver.clock) as commits:
        yield Served(receiver, commits)


@pytest.fixture
def disrupting(platform: Platform, tmp_path: Path, effects: Effects) -> Iterator[Served]:
    receiver = Receiver(platform, tmp_path, counting(effects, risk=Risk.DISRUPTS), effects)
    with GroupCommits(receiver.store, receiver.clock) as commits:
        yield Served(receiver, commits)


def stored(served: Served) -> int:
    return len(served.receiver.store.latest(100))


def test_what_is_acknowledged_is_stored(served: Served) -> None:
    answer = served.alert(posted(1, 2))
    assert (answer.status_code, answer.text) == (200, "stored\n")
    assert {each.pair for each in served.receiver.store.latest(10)} == {"france"}
    assert stored(served) == 2


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer x y", f"bearer {TOKEN}", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"],
)
def test_without_the_token_nothing_is_read(served: Served, header: str) -> None:
    answer = served("POST", WEBHOOK_PATH, content=posted(1), headers=[(b"authorization", header.encode())])
    assert answer.status_code == 401
    assert answer.text.count("\n") == 1
    assert stored(served) == 0


def test_what_is_malformed_is_told_in_a_line(served: Served) -> None:
    for body in (b"", b"{", b'{"version":"4","alerts":[{}]}', b"[" * 5000):
        answer = served.alert(body)
        assert answer.status_code == 400
        assert answer.text.count("\n") == 1
    assert stored(served) == 0


def test_five_megabytes_are_refused_before_they_are_read(served: Served) -> None:
    read = 0

    async def slowly() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(80):
            read += 65536
            yield b" " * 65536

    told = served.alert(b" " * (5 * MOST_BYTES))
    assert (told.status_code, told.text.count("\n")) == (413, 1)
    untold = served("POST", WEBHOOK_PATH, content=slowly(), headers=BEARER)
    assert untold.status_code == 413
    assert stored(served) == 0


def test_what_cannot_be_stored_is_not_acknowledged(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise RemoteError("the disk is full")

    take = served.receiver.store.take
    monkeypatch.setattr(served.receiver.store, "take", full)
    answer = served.alert(posted(1))
    assert (answer.status_code, answer.text) == (503, "not stored: the disk is full\n")
    monkeypatch.setattr(served.receiver.store, "take", take)
    assert served.alert(posted(1)).status_code == 200


def test_what_takes_too_long_is_not_acknowledged(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from threading import Event

    going = Event()

    def slow(*_: Any) -> int:
        going.wait(20)
        return 0

    monkeypatch.setattr(web, "STORE_SECONDS", 0.05)
    monkeypatch.setattr(served.receiver.store, "take", slow)
    assert served.alert(posted(1)).status_code == 503
    going.set()


def test_a_queue_that_is_full_refuses(receiver: Receiver) -> None:
    commits = GroupCommits(receiver.store, receiver.clock)  # its thread does not run: nothing is taken out
    commits.submit("france", [notice()] * MOST_WAITING)
    with pytest.raises(RemoteError, match="too many"):
        commits.submit("france", [notice()])


def test_many_messages_are_few_commits(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    take = receiver.store.take
    monkeypatch.setattr(
        receiver.store, "take", lambda notices, now: (counts.append(1), take(notices, now))[1]
    )
    commits = GroupCommits(receiver.store, receiver.clock)
    waiting = [commits.submit("france", [notice(number)]) for number in range(100)]
    waiting[3].cancel()
    with commits:
        assert [each.result(10) for index, each in enumerate(waiting) if index != 3]
    assert len(counts) == 1
    assert len(receiver.store.latest(1000)) == 99


def test_nobody_sees_anything_without_logging_in(served: Served) -> None:
    assert served("GET", "/").headers["location"] == "/login"
    assert served("GET", "/operations/x").headers["location"] == "/login"
    assert served("GET", "/live").status_code == 401
    for path in ("/halt", "/lift", "/runs/x/approve"):
        assert served("POST", path, data={"reason": "x"}).headers["location"] == "/login"
    assert "Nobody is on call yet" in served("GET", "/login").text
    assert served("POST", "/login", data={"name": "anne", "token": "x"}).status_code == 401
    assert halt.read(served.receiver.halt_file) is None


def test_the_cookie_and_the_headers_are_strict(served: Served) -> None:
    token = served.people.add("anne")
    answer = served("POST", "/login", data={"name": "anne", "token": token})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    page = served("GET", "/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert token not in page.text
    assert "style=" not in page.text
    for name in ("style.css", "live.js"):
        assert served("GET", f"/assets/{name}").status_code == 200
    assert served("GET", "/assets/page.py").status_code == 404


def test_a_form_of_another_site_changes_nothing(disrupting: Served) -> None:
    disrupting.alert(posted(1))
    disrupting.receiver.settle()
    (incident,) = disrupting.receiver.store.latest(10)
    disrupting.log_in()
    csrf = disrupting.csrf()
    path = f"/runs/{incident.run}/approve"
    assert disrupting("POST", path, data={"reason": "x"}).status_code == 403
    assert disrupting("POST", path, data={"reason": "x", "csrf": csrf[:-1]}).status_code == 403
    foreign = {"sec-fetch-site": "cross-site"}
    assert disrupting("POST", path, data={"reason": "x", "csrf": csrf}, headers=foreign).status_code == 403
    assert disrupting.receiver.engine.run(incident.run).state is RunState.WAITING


def test_approving_carries_the_run_out(disrupting: Served) -> None:
    disrupting.alert(posted(1))
    disrupting.receiver.settle()
    (incident,) = disrupting.receiver.store.latest(10)
    assert incident.state is IncidentState.FILED
    disrupting.log_in()
    assert "Approve count-it" in disrupting("GET", "/").text
    assert disrupting.decide(f"/runs/{incident.run}/approve", reason="it is time").status_code == 303
    run = disrupting.receiver.engine.wait(incident.run)
    assert (run.state, run.decided_by) == (RunState.SUCCEEDED, "anne")
    again = disrupting.decide(f"/runs/{incident.run}/approve")
    assert again.status_code == 409
    assert "does not wait for approval" in again.text
    page = disrupting("GET", f"/operations/{incident.run}").text
    assert "it is time" in page


def test_rejecting_needs_a_reason(disrupting: Served) -> None:
    disrupting.alert(posted(1))
    disrupting.receiver.settle()
    (incident,) = disrupting.receiver.store.latest(10)
    disrupting.log_in()
    assert "needs a reason" in disrupting.decide(f"/runs/{incident.run}/reject").text
    assert disrupting.decide(f"/runs/{incident.run}/reject", reason="no").status_code == 303
    assert disrupting.receiver.engine.run(incident.run).state is RunState.REJECTED


def test_the_kill_switch_from_the_page(disrupting: Served) -> None:
    disrupting.alert(posted(1))
    disrupting.receiver.settle()
    (incident,) = disrupting.receiver.store.latest(10)
    disrupting.log_in()
    assert "needs a reason" in disrupting.decide("/halt").text
    assert disrupting.decide("/halt", reason="look at this").status_code == 303
    page = disrupting("GET", "/").text
    assert "HALTED" in page
    assert "by anne: look at this" in page
    refused = disrupting.decide(f"/runs/{incident.run}/approve")
    assert refused.status_code == 409
    assert "by anne: look at this" in refused.text
    assert disrupting.decide("/lift", reason="looked at").status_code == 303
    assert "HALTED" not in disrupting("GET", "/").text


def test_what_was_sent_is_shown_as_text(served: Served) -> None:
    served.alert(posted(1, alertname="<script>alert(1)</script>"))
    served.receiver.settle()
    served.log_in()
    page = served("GET", "/").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    assert "<b>burns" not in page
    (incident,) = served.receiver.store.latest(10)
    shown = served("GET", f"/operations/{incident.id}")
    assert shown.status_code == 200
    assert "&lt;b&gt;burns" in shown.text


def test_the_live_part_is_the_page_without_its_frame(served: Served) -> None:
    served.log_in()
    text = served("GET", "/live").text
    assert text.startswith("<section")
    assert "<html" not in text
    assert text in served("GET", "/").text


def test_what_is_unknown(served: Served) -> None:
    served.log_in()
    assert served("GET", "/operations/nothing").status_code == 404
    assert served("GET", "/nothing").status_code == 404
    assert served("GET", WEBHOOK_PATH).status_code == 405
    assert served("GET", "/healthz").text == "ok\n"


def test_logging_out_forgets_the_cookie(served: Served) -> None:
    served.log_in()
    served.decide("/logout")
    assert served("GET", "/").headers["location"] == "/login"


def test_a_broken_engine_is_told_on_the_page(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(**_: Any) -> Any:
        raise RemoteError("the team's database is not reached")

    served.log_in()
    monkeypatch.setattr(served.receiver.engine, "runs", lost)
    page = served("GET", "/")
    assert page.status_code == 200
    assert "not reached" in page.text
