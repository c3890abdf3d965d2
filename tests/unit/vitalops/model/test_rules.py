from __future__ import annotations

import pytest

from tests.unit.vitalops.model.conftest import Text
from vitalops.model.rules import RESERVED_SERVICE_NAMES


@pytest.mark.parametrize(
    ("old", "new", "pointer", "problem", "hint"),
    [
        ("primary: fr-par", "primary: fr-pra", "/pairs/france/primary", "no region 'fr-pra'", "'fr-par'"),
        (
            "depends_on: [audit]",
            "depends_on: [audti]",
            "/services/identity/depends_on/0",
            "'audti'",
            "'audit'",
        ),
        (
            "depends_on: [audit]",
            "depends_on: [identity]",
            "/services/identity/depends_on/0",
            "itself",
            "remove",
        ),
        (
            "depends_on: [audit]",
            "depends_on: [audit, audit]",
            "/services/identity/depends_on/1",
            "twice",
            "remove",
        ),
        (
            "depends_on: [audit]",
            "pairs: [frnace]",
            "/services/identity/pairs/0",
            "no pair 'frnace'",
            "'france'",
        ),
        ("depends_on: [identity]", "pairs: [], depends_on: []", "", "", ""),
        (
            "rpo_seconds: 0",
            "rpo_seconds: 0\n    replication: asynchronous",
            "/pairs/france/rpo_seconds",
            "asynchronous",
            "synchronous",
        ),
        ("port: 8444", "port: 8443", "/pairs/switzerland/edge/port", "edge of pair 'france'", "own"),
        ("port: 8444", "port: 22", "/pairs/switzerland/edge/port", "port 22", "1024"),
        (
            "port: 8444",
            "port: 8444, address: localhost",
            "/pairs/switzerland/edge/address",
            "IP",
            "127.0.0.1",
        ),
        (
            "rto_seconds: 60",
            "rto_seconds: 60\n    dns: {server: 127.0.0.1, zone: example.org, name: visits.example.net, key: k}",
            "/pairs/france/dns/name",
            "not within the zone 'example.org'",
            "visits.example.org",
        ),
        (
            "rto_seconds: 60",
            "rto_seconds: 60\n    dns: {server: 127.0.0.1, zone: example.org, name: Example.org., key: k}",
            "/pairs/france/dns/name",
            "is the zone itself",
            "visits.example.org",
        ),
        (
            "rto_seconds: 60",
            "rto_seconds: 60\n    dns: {server: ns1, zone: example.org, name: v.example.org, key: k, ttl_seconds: 61}",
            "/pairs/france/dns/ttl_seconds",
            "for 61 s, beyond",
            "60 or less",
        ),
        (
            "uses_media: true",
            "replicas: {minimum: 3, maximum: 2}",
            "/services/consultation/replicas",
            "3",
            "raise",
        ),
        ('scope: ["1",', 'scope: ["1", "7",', "/regions/fr-par/certifications/0/scope/1", "'7'", "1, 2, 3"),
        (
            "{answered: 0.999,",
            "{answered: 0.9, answered: 0.999,",
            "/tiers/critical/objectives/answered",
            "twice",
            "keep",
        ),
    ],
)
def test_each_rule_finds_its_fault(
    bundled: Text, old: str, new: str, pointer: str, problem: str, hint: str
) -> None:
    if not pointer:
        new, pointer, problem, hint = "pairs: []", "/services/audit/pairs", "in no pair", "leave `pairs` out"
    edited = bundled.edit(old, new)
    fault = next(fault for fault in edited.faults() if fault.pointer == pointer)
    assert problem in fault.problem
    assert hint in fault.hint


def test_a_pair_needs_two_regions(bundled: Text) -> None:
    assert "same region" in bundled.edit("standby: fr-gra", "standby: fr-par").fault().problem


def test_a_region_is_in_one_pair_only(bundled: Text) -> None:
    faults = bundled.edit("primary: ch-gva", "primary: fr-gra").faults()
    assert any("'fr-gra' is in pair 'france' already" in fault.problem for fault in faults)


def test_the_same_port_at_other_addresses_is_no_clash(bundled: Text) -> None:
    apart = bundled.edit("{port: 8444}", "{port: 8443, address: 127.0.0.2}")
    assert apart.load().platform.pairs["switzerland"].edge.address == "127.0.0.2"
    assert "already" in bundled.edit("{port: 8444}", "{port: 8443, address: 0.0.0.0}").fault().problem


def test_https_is_the_one_low_port_an_edge_may_have(bundled: Text) -> None:
    assert bundled.edit("port: 8443", "port: 443").load().platform.pairs["france"].edge.port == 443


def test_synchronous_replication_may_promise_no_loss(bundled: Text) -> None:
    sound = bundled.edit("rpo_seconds: 0", "rpo_seconds: 0\n    replication: synchronous")
    assert sound.load().platform.pairs["france"].rpo_seconds == 0


def test_only_nine_local_regions_have_addresses(bundled: Text) -> None:
    def many(cluster: str) -> Text:
        extra = "".join(
            f"  de-{letter}: {{jurisdiction: DE, cluster: {cluster}, certifications: []}}\n"
            for letter in "abcdef"
        )
        return bundled.edit("\npairs:", extra + "\npairs:")

    assert many("local").fault().pointer == "/regions/de-f"
    assert len(many("{context: k, gateway_address: 192.0.2.1}").load().platform.regions) == 10


def test_a_dependency_must_be_placed_wherever_its_user_is(bundled: Text) -> None:
    edited = bundled.edit("  payment:\n", "  payment:\n    pairs: [france]\n")
    assert edited.load().platform.services["payment"].pairs == ("france",), "nothing depends on payment"
    fault = bundled.edit("  consultation:\n", "  consultation:\n    pairs: [france]\n").fault()
    assert fault.pointer == "/services/prescription/depends_on/1"
    assert "not placed in pair switzerland" in fault.problem


@pytest.mark.parametrize("name", sorted(RESERVED_SERVICE_NAMES))
def test_names_the_platform_needs_itself_are_refused(bundled: Text, name: str) -> None:
    fault = bundled.edit("  payment:\n", f"  {name}:\n").fault()
    assert fault.pointer == f"/services/{name}"
