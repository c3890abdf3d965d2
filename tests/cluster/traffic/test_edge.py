"""The edge switched while it works: what runs stays, what comes next goes elsewhere, what waits is sent once."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.traffic.edge import EdgeDirector
from tests.cluster.traffic.gateways import Bench, bench
from vitalops.errors import RemoteError, UsageError
from vitalops.model.failover import Failover
from vitalops.model.platform import FailoverPair
from vitalops.pki.authority import CertificateAuthority
from vitalops.ports.clock import SystemClock

pytestmark = [
    pytest.mark.cluster,
    # The edge outlives whoever starts it.
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]

SWITCH_SECONDS = 0.05
"""Until what comes next goes to the other region."""


@pytest.fixture
def edge() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="edge-") as folder, bench(Path(folder)) as made:
        Path(folder).chmod(0o755)
        yield made


@pytest.fixture
def director(edge: Bench) -> EdgeDirector:
    pair = FailoverPair(
        name="france",
        primary="fr-par",
        standby="fr-gra",
        rto_seconds=60,
        rpo_seconds=0,
        failover=Failover(),
        edge=edge.process.listener,
    )
    return EdgeDirector(
        pair,
        edge.process,
        SystemClock(),
        authority=lambda: edge.authority,
        revive=lambda: edge.process.ensure(edge.files),
    )


def test_a_switch_takes_effect_with_the_next_request_and_keeps_what_runs(
    edge: Bench, director: EdgeDirector
) -> None:
    kept, call = edge.connect(), edge.connect()
    assert call.upgrade("room-1") == 101
    assert call.say("before") == "fr-par heard before"
    assert kept.ask()[1] == director.active() == "fr-par"
    pid = edge.process.pid()

    began = time.monotonic()
    director.switch("fr-gra")
    told = time.monotonic() - began
    assert kept.ask()[1] == director.active() == "fr-gra"
    seconds = time.monotonic() - began

    print(f"switched in {told * 1000:.1f} ms, answered after {seconds * 1000:.1f} ms")
    assert told < SWITCH_SECONDS
    assert call.say("after") == "fr-par heard after"
    # Who comes back to the call, or joins it only now, finds it; a call that begins now begins in the new region.
    again, other = edge.connect(), edge.connect()
    assert again.upgrade("room-1") == 101
    assert again.say("x") == "fr-par heard x"
    assert other.upgrade("room-2") == 101
    assert other.say("x") == "fr-gra heard x"
    assert edge.process.pid() == pid


def test_new_calls_are_led_elsewhere_while_requests_and_running_calls_stay(
    edge: Bench, director: EdgeDirector
) -> None:
    running = edge.connect()
    assert running.upgrade("room-1") == 101
    assert director.lead_calls("fr-gra")
    assert (director.active(), director.calls_lead_to()) == ("fr-par", "fr-gra")
    begun, back = edge.connect(), edge.connect()
    assert begun.upgrade("room-2") == 101
    assert begun.say("x") == "fr-gra heard x"
    assert back.upgrade("room-1") == 101
    assert back.say("x") == "fr-par heard x"
    assert edge.connect().ask()[1] == "fr-par"
    director.lead_calls("")
    joined = edge.connect()
    assert joined.upgrade("room-2") == 101
    assert joined.say("x") == "fr-gra heard x"
    director.lead_calls("fr-gra")
    director.switch("fr-par")
    assert director.calls_lead_to() == ""


def test_a_switched_edge_is_left_alone_by_up_and_survives_a_restart(
    edge: Bench, director: EdgeDirector
) -> None:
    director.switch("fr-gra")
    assert edge.process.ensure(edge.files) == "unchanged"
    assert edge.connect().ask()[1] == "fr-gra"
    # A map of an older version knew one key less; it leads where it led.
    (edge.process.folder / "edge.map").write_text("active fr-gra\nhold 0\n")
    assert edge.process.ensure(edge.files) == "reloaded"
    assert (director.active(), director.calls_lead_to()) == ("fr-gra", "")
    changed = {**edge.files.texts, "haproxy.cfg": edge.files.texts["haproxy.cfg"] + "\n# another\n"}
    files = type(edge.files)(changed, edge.files.certificate_and_key, edge.files.authority)
    call = edge.connect()
    assert call.upgrade("room-1") == 101
    assert edge.process.ensure(files) == "reloaded"
    assert edge.connect().ask()[1] == "fr-gra"
    assert call.say("still") == "fr-gra heard still"


def test_requests_wait_while_held_and_are_sent_once(edge: Bench, director: EdgeDirector) -> None:
    answers: list[tuple[int, str]] = []
    call = edge.connect()
    assert call.upgrade("room-1") == 101
    assert director.hold(10)

    def write(number: int) -> None:
        answers.append(edge.connect().ask(method="POST", body=f"note-{number}"))

    began = time.monotonic()
    writers = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    for writer in writers:
        writer.start()
    time.sleep(1.0)
    assert answers == []
    assert not any(gateway.requests for gateway in edge.gateways.values())
    assert edge.process.answers(edge.authority)[0] == 200
    assert call.say("hello") == "fr-par heard hello"
    again = edge.connect()
    assert again.upgrade("room-1") == 101
    director.switch("fr-gra")
    for writer in writers:
        writer.join(5)
    assert answers == [(200, "fr-gra")] * 20
    assert time.monotonic() - began < 4
    assert edge.gateways["fr-par"].requests == []
    assert sorted(edge.gateways["fr-gra"].requests) == sorted(
        f"POST /x note-{number}" for number in range(20)
    )


def test_holding_ends_by_itself(edge: Bench, director: EdgeDirector) -> None:
    began = time.monotonic()
    director.hold(1)
    assert edge.connect().ask()[1] == "fr-par"
    assert 0.5 < time.monotonic() - began < 3


def test_a_lost_region_is_seen_and_keeps_nobody(edge: Bench, director: EdgeDirector) -> None:
    call = edge.connect()
    assert call.upgrade("room-1") == 101
    while len(director.sees()) < 2:
        time.sleep(0.02)
    assert director.sees() == {"fr-par": True, "fr-gra": True}
    edge.gateways["fr-par"].stop()
    lost = time.monotonic()
    while director.sees()["fr-par"]:
        assert time.monotonic() - lost < 2
        time.sleep(0.02)
    print(f"seen after {time.monotonic() - lost:.2f} s")
    director.switch("fr-gra")
    while True:
        again = edge.connect()
        if (status := again.upgrade("room-1")) == 101:
            break
        assert status == 503
        assert time.monotonic() - lost < 5
        time.sleep(0.05)
    assert again.say("x") == "fr-gra heard x"


def test_an_edge_that_does_not_run_is_repaired_where_it_led(edge: Bench, director: EdgeDirector) -> None:
    director.switch("fr-gra")
    assert director.fault() == ""
    assert director.repair("fr-gra") == ""
    pid = edge.process.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while edge.process.pid() is not None:
        time.sleep(0.01)
    assert director.fault() == "its process does not run"
    assert director.repair("fr-gra").startswith("started")
    assert (director.fault(), director.active()) == ("", "fr-gra")


def test_a_certificate_that_has_run_out_is_renewed(edge: Bench, director: EdgeDirector) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=30)
    issuer = CertificateAuthority.create("old", now=long_ago)
    old = issuer.issue("edge", dns=["localhost"], days=1, now=long_ago)
    (edge.process.folder / "edge.pem").write_text(old.certificate_pem + old.key_pem)
    pid = edge.process.pid()
    assert pid is not None
    # A master that has just started executes itself anew, and hears nothing meanwhile.
    time.sleep(1)
    os.kill(pid, signal.SIGUSR2)
    expired = EdgeDirector(
        director.pair,
        edge.process,
        director.clock,
        authority=lambda: issuer.certificate_pem,
        revive=director.revive,
    )
    deadline = time.monotonic() + 30
    while "certificate has expired" not in expired.fault():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "clients refuse its certificate" in director.fault()
    assert director.repair("fr-par") == "reloaded"
    assert director.fault() == ""


def test_a_stranger_and_an_edge_that_does_not_run_are_refused(edge: Bench, director: EdgeDirector) -> None:
    with pytest.raises(UsageError, match="ch-gva is no region of pair france"):
        director.switch("ch-gva")
    edge.process.stop()
    with pytest.raises(RemoteError, match="HAProxy does not answer at"):
        director.switch("fr-gra")
    # The word is kept all the same: what starts now leads there.
    assert "active fr-gra" in (edge.process.folder / "edge.map").read_text()
