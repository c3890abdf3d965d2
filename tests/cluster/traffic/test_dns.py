"""The name of a pair, changed at real DNS servers: BIND and Knot from Debian."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from infra.traffic.dns import DnsDirector, secret_name
from tests.cluster.traffic.nameservers import director, server
from vitalops.errors import RemoteError, UsageError, VitalopsError
from vitalops.secretstore.port import InMemorySecretStore

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DnsDirector]:
    with server("named", tmp_path_factory.mktemp("named")) as made:
        yield made


def refused(found: DnsDirector, words: str) -> str:
    """The one line in which a switch is refused; nothing is changed by it."""
    with pytest.raises(VitalopsError, match=words) as raised:
        found.switch("fr-gra" if found.active() == "fr-par" else "fr-par")
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("kind", ["named", "knotd"])
def test_a_name_is_switched_there_and_back(kind: str, tmp_path: Path) -> None:
    with server(kind, tmp_path) as name:
        assert name.active() == "fr-par"
        name.switch("fr-gra")
        assert name.active() == "fr-gra"
        name.switch("fr-gra")
        name.switch("fr-par")
        assert name.active() == "fr-par"
        assert name.delay_seconds() == 5
        # Regions reached by name get a CNAME in place of the address, in one update.
        hosts = {"fr-par": "par.example.net", "fr-gra": "2001:db8::2"}
        others = replace(name, addresses=hosts)
        assert others.active() == ""
        others.switch("fr-par")
        assert others.active() == "fr-par"
        others.switch("fr-gra")
        assert others.active() == "fr-gra"


def test_of_two_operators_at_once_the_stale_one_is_refused(named: DnsDirector) -> None:
    before = named._values()
    named.switch("fr-gra" if named.active() == "fr-par" else "fr-par")
    # What the other operator decided on the value that was there.
    with pytest.raises(RemoteError, match="changed by somebody else meanwhile"):
        named._update("fr-par", before)


def test_many_at_once_leave_one_of_the_regions(named: DnsDirector) -> None:
    errors: list[str] = []

    def switch(region: str) -> None:
        try:
            named.switch(region)
        except RemoteError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=switch, args=(region,)) for region in ("fr-par", "fr-gra") * 5]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert named.active() in ("fr-par", "fr-gra")
    assert all("changed by somebody else" in error or "after it was switched" in error for error in errors)


def test_another_secret_is_a_bad_signature(named: DnsDirector) -> None:
    store = InMemorySecretStore()
    store.replace(secret_name("france", named.record), base64.b64encode(b"x" * 32).decode())
    refused(replace(named, secrets=store), r"another secret for the key vitalops \(BADSIG\)")


def test_a_key_that_the_server_does_not_know(named: DnsDirector) -> None:
    record = named.record.model_copy(update={"key": "stranger"})
    store = InMemorySecretStore()
    store.replace(secret_name("france", record), base64.b64encode(b"x" * 32).decode())
    refused(replace(named, secrets=store, record=record), r"does not know the key stranger \(BADKEY\)")


def test_no_key_yet(named: DnsDirector) -> None:
    with pytest.raises(UsageError, match="there is no key vitalops yet"):
        replace(named, secrets=InMemorySecretStore()).switch(
            "fr-gra" if named.active() == "fr-par" else "fr-par"
        )


def test_a_zone_that_is_not_the_servers(named: DnsDirector) -> None:
    record = named.record.model_copy(update={"zone": "example.net", "name": "visits.example.net"})
    with pytest.raises(RemoteError, match=r"zone example\.net: its policy refuses"):
        replace(named, record=record).active()
    record = named.record.model_copy(update={"zone": "example.net"})
    refused(replace(named, record=record), "not authoritative for the zone")


def test_a_name_that_the_key_may_not_change(named: DnsDirector) -> None:
    record = named.record.model_copy(update={"name": "other.example.org"})
    refused(replace(named, record=record), "its policy refuses this key")


def test_clocks_that_differ(tmp_path: Path) -> None:
    with server("knotd", tmp_path, clock="-15m") as late:
        refused(late, r"its clock and this machine's differ too much \(BADTIME\)")


def test_a_server_that_does_not_answer() -> None:
    with pytest.raises(RemoteError, match=r"server 127\.0\.0\.1:1: no answer within 3 s"):
        director(1).active()
