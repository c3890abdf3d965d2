"""The witness over real TLS on loopback, with fakes of all that it looks at and acts with."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from tests.unit.vitalops.witness.fakes import FakeFailovers, automation
from vitalops.detection.machine import Limits
from vitalops.detection.sights import Part, Place, Vantage
from vitalops.errors import UsageError
from vitalops.fencing.report import GuardReport, Sight, from_json
from vitalops.pki import CertificateAuthority
from vitalops.ports.clock import SystemClock
from vitalops.vantage.probe import Answer, FakeJudge, FakeProbe
from vitalops.witness.notes import Notes
from vitalops.witness.server import Pages, serve
from vitalops.witness.service import Listening, Witness

HERE, THERE = "fr-par", "fr-gra"
LIMITS = Limits(detection=0.1, interval=0.02, gap=0.2)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's side of it."""
    authority = CertificateAuthority.create("test authority")
    issued = authority.issue("witness", dns=("localhost",), ip=("127.0.0.1",))
    folder = tmp_path_factory.mktemp("tls")
    chain: Path = folder / "witness.pem"
    chain.write_text(issued.certificate_pem + issued.key_pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    return server, ssl.create_default_context(cadata=authority.certificate_pem)


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def standby_report(silent: float) -> GuardReport:
    sees = (Sight(HERE, silent == 0, silent),)
    return GuardReport(
        "france", THERE, 1, HERE, "standby", False, "", "synchronous", False, 0, sees, clock=1.0
    )


def witness(server: ssl.SSLContext, dead: Callable[[], bool]) -> Witness:
    clock = SystemClock()

    def answer() -> Answer | None:
        return None if dead() else Answer()

    probes = [FakeProbe(Vantage(Place.WITNESS, part, HERE), answer) for part in Part]
    other = FakeProbe(
        Vantage(Place.WITNESS, Part.GUARD, THERE), lambda: Answer(standby_report(9.0 if dead() else 0.0))
    )
    made = automation()
    return Witness(
        Notes.begin("france", (HERE, THERE), HERE, LIMITS, clock),
        made,
        [*probes, other],
        [FakeJudge(fails=True)],
        Listening("127.0.0.1", free_port(), server),
    )


def at_work(
    made: Witness, trust: ssl.SSLContext, act: Callable[[httpx.AsyncClient], Awaitable[None]]
) -> None:
    async def through() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(made.run(stop))
        url = f"https://localhost:{made.listening.port}"
        transport = httpx.AsyncHTTPTransport(verify=trust, retries=5)
        async with httpx.AsyncClient(base_url=url, transport=transport) as client:
            await asyncio.sleep(0.05)
            await act(client)
        stop.set()
        await asyncio.wait_for(running, 5)

    asyncio.run(through())


def test_a_loss_is_acted_on_and_the_lost_region_is_refused_leave(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    dead: list[bool] = []
    made = witness(tls[0], lambda: bool(dead))

    async def act(client: httpx.AsyncClient) -> None:
        assert (await client.get("/v1/guard", params={"from": HERE})).status_code == 200
        assert (await client.get("/v1/status")).json()["state"] == "healthy"
        dead.append(True)
        for _ in range(100):
            await asyncio.sleep(0.02)
            if (await client.get("/v1/guard", params={"from": HERE})).status_code == 503:
                break
        status = (await client.get("/v1/status")).json()
        assert (status["run"], status["active"]) == ("region-failover-1", HERE)
        assert (await client.get("/v1/guard", params={"from": THERE})).status_code == 200

    at_work(made, tls[1], act)
    assert isinstance(made.automation.failovers, FakeFailovers)
    assert len(made.automation.failovers.filed) == 1


def test_the_report_is_what_guards_read_and_nothing_else_is_served(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    made = witness(tls[0], lambda: False)

    async def act(client: httpx.AsyncClient) -> None:
        report = from_json((await client.get("/v1/guard", params={"from": THERE})).text)
        assert (report.place, report.pair, report.active) == ("witness", "france", HERE)
        assert (await client.get("/")).status_code == 404
        assert (await client.post("/v1/guard", content=b"{}")).status_code == 405
        assert (await client.get("/v1/status")).json()["mode"] == "automatic"

    at_work(made, tls[1], act)


def test_a_taken_port_is_said_in_one_line(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    port = free_port()

    async def twice() -> None:
        pages = Pages(lambda _: None, lambda: json.loads("{}"))
        first = await serve(pages, "127.0.0.1", port, tls[0])
        try:
            with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}"):
                await serve(pages, "127.0.0.1", port, tls[0])
        finally:
            first.close()

    asyncio.run(twice())
