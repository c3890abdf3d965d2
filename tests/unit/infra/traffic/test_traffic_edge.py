"""Edges that run elsewhere, kept in their regions; what HAProxy's runtime API says; what a DNS record may hold."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from socket import AF_UNIX, socket
from tempfile import TemporaryDirectory

import pytest

from infra.edge.admin import last_checks, map_entries, set_map
from infra.operations.traffic import host_of
from infra.traffic.dns import typed
from infra.traffic.edge import PATH, KeptEdgeDirector
from infra.traffic.keys import write_key
from vitalops.errors import RemoteError, UsageError
from vitalops.model.failover import DnsRecord
from vitalops.model.platform import Platform
from vitalops.ports.clock import FakeClock
from vitalops.ports.cluster import FakeCluster
from vitalops.secretstore.port import InMemorySecretStore


@pytest.fixture
def clusters() -> dict[str, FakeCluster]:
    kept = {"metadata": {"name": "vitalops-edge"}, "data": {"active-region": "fr-par", "haproxy.cfg": "x"}}
    return {name: FakeCluster(name, {PATH: kept}) for name in ("fr-par", "fr-gra")}


def lost() -> Exception:
    return RemoteError("region fr-par: does not answer")


def test_both_regions_keep_where_the_edge_leads(platform: Platform, clusters: dict[str, FakeCluster]) -> None:
    director = KeptEdgeDirector(platform.pairs["france"], clusters, FakeClock())
    assert director.active() == "fr-par"
    director.switch("fr-gra")
    assert director.active() == "fr-gra"
    for cluster in clusters.values():
        data = cluster.objects[PATH]["data"]
        assert data == {
            "active-region": "fr-gra",
            "haproxy.cfg": "x",
            "edge.map": "active fr-gra\ncalls -\nhold 0\n",
        }
    assert (director.hold(5), dict(director.sees()), director.delay_seconds()) == (False, {}, 0.0)


def test_a_lost_region_is_passed_over_and_outvoted_when_it_is_back(
    platform: Platform, clusters: dict[str, FakeCluster]
) -> None:
    clock = FakeClock()
    director = KeptEdgeDirector(platform.pairs["france"], clusters, clock)
    director.switch("fr-par")
    clusters["fr-par"].fails_with = lost
    clock.current += timedelta(seconds=5)
    director.switch("fr-gra")
    assert director.active() == "fr-gra"
    clusters["fr-par"].fails_with = None
    assert clusters["fr-par"].objects[PATH]["data"]["active-region"] == "fr-par"
    assert director.active() == "fr-gra"


def test_nobody_to_tell_is_an_error_of_one_line(platform: Platform, clusters: dict[str, FakeCluster]) -> None:
    for cluster in clusters.values():
        cluster.fails_with = lost
    director = KeptEdgeDirector(platform.pairs["france"], clusters, FakeClock())
    with pytest.raises(RemoteError, match="neither region answers"):
        director.switch("fr-gra")
    with pytest.raises(RemoteError, match="neither region answers"):
        director.active()
    with pytest.raises(UsageError, match="ch-gva is no region of pair france"):
        director.switch("ch-gva")


@contextmanager
def haproxy(answers: dict[str, str]) -> Iterator[Path]:
    """Answers on a socket as HAProxy's runtime API does: one command a connection."""
    with TemporaryDirectory(prefix="v-") as folder, socket(AF_UNIX) as server:
        path = Path(folder) / "s"
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            for _ in answers:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(answers[connection.recv(1000).decode().strip()].encode())

        thread = threading.Thread(target=serve)
        thread.start()
        yield path
        thread.join(5)


def test_the_runtime_api_is_read() -> None:
    stat = (
        "# pxname,svname,check_status,other\nedge,FRONTEND,,1\nregion_a,gateway,L7OK,1\nregion_b,gateway,* L4CON,1\n"
        "region_c,gateway,INI,1\nregion_a,BACKEND,,1\n\n"
    )
    answers = {
        "show map /f": "0x55d0 active fr-par\n0x55d1 hold 0\n\n",
        "show map /g": "Unknown map identifier. Please use #<id> or <file>.\n",
        "set map /f active x": "\n",
        "set map /g active x": "Unknown map identifier.\n",
        "show stat": stat,
    }
    with haproxy(answers) as path:
        assert map_entries(path, Path("/f")) == {"active": "fr-par", "hold": "0"}
        with pytest.raises(RemoteError, match="HAProxy has no map /g"):
            map_entries(path, Path("/g"))
        set_map(path, Path("/f"), "active", "x")
        with pytest.raises(RemoteError, match="refuses to set active in /g"):
            set_map(path, Path("/g"), "active", "x")
        assert last_checks(path) == {"region_a": True, "region_b": False}
    with pytest.raises(RemoteError, match="HAProxy does not answer at"):
        last_checks(path)


@pytest.mark.parametrize(
    ("address", "record"),
    [
        ("10.201.1.2", ("A", "10.201.1.2")),
        ("[2001:DB8::1]:30443", ("AAAA", "2001:db8::1")),
        ("2001:db8::1", ("AAAA", "2001:db8::1")),
        ("10.0.0.1:443", ("A", "10.0.0.1")),
        ("Gateway.example.org:443", ("CNAME", "gateway.example.org")),
    ],
)
def test_a_record_leads_to_the_gateways_host(address: str, record: tuple[str, str]) -> None:
    assert typed(host_of(address)) == record


def test_a_key_is_made_once_and_only_its_owner_reads_the_files(tmp_path: Path) -> None:
    store = InMemorySecretStore()
    record = DnsRecord(
        server="ns1", zone="example.org", name="v.example.org", key="k", algorithm="hmac-sha512"
    )
    bind, knot = write_key(store, "france", record, tmp_path / "dns")
    before = bind.read_text()
    assert write_key(store, "france", record, tmp_path / "dns") == (bind, knot)
    secret = store.get("france/dns/k")
    assert secret
    assert len(secret) == 88
    assert before == bind.read_text() == f'key "k" {{\n  algorithm hmac-sha512;\n  secret "{secret}";\n}};\n'
    assert secret in knot.read_text()
    assert {path.stat().st_mode & 0o777 for path in (bind, knot)} == {0o600}
