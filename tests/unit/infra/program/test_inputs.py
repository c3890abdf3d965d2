"""Secrets made once, the active region, and the arguments that follow from both."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from infra.components.args import Role
from infra.program.inputs import Surroundings, edge_args, gateway_endpoint, region_args
from infra.program.secrets import AUTHORITY, authority, certificate, clients, split_addresses
from infra.program.stacks import StackName
from infra.program.state import active_region, set_active_region
from vitalops.conventions import OPERATOR_CLIENT, PROBER_CLIENT
from vitalops.errors import UsageError, VitalopsError
from vitalops.model.platform import Platform
from vitalops.paths import Paths
from vitalops.pki import alternative_names
from vitalops.secretstore import InMemorySecretStore


def test_both_regions_of_a_pair_share_their_secrets(around: Surroundings) -> None:
    primary, standby = (region_args(around, name).secrets for name in ("fr-par", "fr-gra"))
    assert replace(primary, backup=standby.backup) == standby


def test_each_region_has_the_key_of_its_own_backups_and_none_to_read_the_others(around: Surroundings) -> None:
    primary, standby = (region_args(around, name).secrets.backup for name in ("fr-par", "fr-gra"))
    assert (primary.own, primary.held) == (standby.held, standby.own)
    assert primary.own != primary.held
    assert primary.passphrase != standby.passphrase
    assert primary.server == standby.server


def test_two_pairs_share_none_but_the_authority(around: Surroundings) -> None:
    french, swiss = (region_args(around, name).secrets for name in ("fr-par", "ch-gva"))
    assert french.authority == swiss.authority
    assert french.database.superuser != swiss.database.superuser
    assert french.media_secret != swiss.media_secret
    assert french.jwks != swiss.jwks


def test_secrets_show_in_no_repr(around: Surroundings) -> None:
    args = region_args(around, "fr-par")
    shown = repr(args)
    for value in (args.secrets.database.superuser, args.secrets.media_secret, args.secrets.gateway.key):
        assert value not in shown


def test_server_certificate_names_both_regions(around: Surroundings) -> None:
    names = alternative_names(region_args(around, "fr-gra").secrets.database.server.certificate)
    assert {"10.201.1.2", "10.201.2.2", "postgres-primary.vitalops-data", "localhost"} <= names


def test_identity_learns_hashes_only(around: Surroundings) -> None:
    args = region_args(around, "fr-par")
    document = json.loads(args.secrets.service_files["identity"]["clients.json"])
    own = args.secrets.service_files["records"]["client-secret"]
    assert document["records"]["secret_sha256"] == sha256(own.encode()).hexdigest()
    assert document[OPERATOR_CLIENT]["role"] == "operator"
    assert own not in json.dumps(document)


def test_clients_file_has_every_service(platform: Platform) -> None:
    made = json.loads(clients(lambda name: name, platform.services.values()))
    assert made.keys() == {*platform.services, OPERATOR_CLIENT, PROBER_CLIENT}
    assert made[PROBER_CLIENT]["scopes"] == ["practitioners:enrol"]


def test_key_set_is_public(around: Surroundings) -> None:
    (key,) = json.loads(region_args(around, "fr-par").secrets.jwks)["keys"]
    assert key["alg"] == "ES256"
    assert "d" not in key


def test_certificate_is_renewed_in_time_and_when_its_names_change(platform: Platform) -> None:
    store = InMemorySecretStore()
    issuer = authority(store, platform)

    def get(days: int = 0, *dns: str) -> str:
        now = datetime.now(UTC) + timedelta(days=days)
        made = certificate(store, issuer, "c", common_name="c", dns=("a", *dns), ip=(), now=now)
        return made.certificate

    first = get()
    assert get(100) == first
    second = get(300)
    assert second != first
    assert get(0, "b") != second


def test_authority_is_made_once(platform: Platform) -> None:
    store = InMemorySecretStore()
    assert authority(store, platform) == authority(store, platform)
    assert store.names() == (AUTHORITY,)


def test_active_region_is_the_primary_until_an_operation_says_otherwise(
    platform: Platform, tmp_path: Path
) -> None:
    pair = platform.pairs["france"]
    assert active_region(tmp_path, platform.name, pair) == "fr-par"
    set_active_region(tmp_path, platform.name, pair, "fr-gra")
    assert active_region(tmp_path, platform.name, pair) == "fr-gra"


def test_a_stranger_as_active_region_is_refused(platform: Platform, tmp_path: Path) -> None:
    pair = platform.pairs["france"]
    set_active_region(tmp_path, platform.name, pair, "ch-gva")
    with pytest.raises(VitalopsError, match="not a region of france"):
        active_region(tmp_path, platform.name, pair)


def test_a_failover_changes_roles_and_the_edge(platform: Platform, tmp_path: Path) -> None:
    paths = Paths(cache=tmp_path, state=tmp_path, run=tmp_path)
    around = Surroundings(platform, paths, InMemorySecretStore(), {})
    set_active_region(tmp_path, platform.name, platform.pairs["france"], "fr-gra")
    assert region_args(around, "fr-gra").role is Role.PRIMARY
    assert region_args(around, "fr-par").role is Role.STANDBY
    assert edge_args(around, "france").active_region == "fr-gra"


def test_gateway_endpoint_is_the_node_port(platform: Platform) -> None:
    assert gateway_endpoint(platform, "fr-par") == "10.201.1.2:30443"


@pytest.mark.parametrize("text", ["region-fr-par", "edge-france"])
def test_stack_names(text: str) -> None:
    assert str(StackName.parse(text)) == text


@pytest.mark.parametrize("text", ["", "region-", "prod", "fr-par"])
def test_other_stack_names_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no stack of this project"):
        StackName.parse(text)


def test_addresses_are_told_from_names() -> None:
    assert split_addresses(("10.0.0.1", "edge.example", "::1", "10.0.0.1")) == (
        ("10.0.0.1", "::1"),
        ("edge.example",),
    )
