"""Where a pair's witness looks, and how it is known."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from infra.operations.running import OperatedPlatform
from infra.operations.setting import Setting
from infra.operations.witness import (
    lines_of_sight,
    require_witness,
    server_context,
    trust_of,
    witness_certificate,
)
from vitalops.errors import UsageError
from vitalops.model.loader import load_platform
from vitalops.model.platform import ClusterContext, Platform
from vitalops.paths import Paths
from vitalops.pki import alternative_names
from vitalops.secretstore import InMemorySecretStore
from vitalops.vantage.probe import Probe


@pytest.fixture
def platform(root: Path) -> Platform:
    return load_platform(root / "platform.yaml", date(2026, 11, 1))


def looked_at(platform: Platform, paths: Paths) -> Sequence[Probe]:
    return lines_of_sight(OperatedPlatform(Setting(platform, paths, ())), platform.pairs["france"])


def test_guard_and_gateway_of_both_regions_are_looked_at(platform: Platform, tmp_path: Path) -> None:
    # No region was ever started here: there is no kubeconfig, and so no way to an API server.
    probes = looked_at(platform, Paths(tmp_path, tmp_path, tmp_path))
    assert [str(probe.vantage) for probe in probes] == [
        "witness -> fr-par guard",
        "witness -> fr-par gateway",
        "witness -> fr-gra guard",
        "witness -> fr-gra gateway",
    ]


def test_its_certificate_names_its_address_and_stays(platform: Platform) -> None:
    store, pair = InMemorySecretStore(), platform.pairs["france"]
    made = witness_certificate(store, platform, pair)
    assert alternative_names(made.certificate) == {"10.201.0.2", "127.0.0.1", "localhost"}
    assert witness_certificate(store, platform, pair) == made
    assert server_context(made).minimum_version is ssl.TLSVersion.TLSv1_3
    assert trust_of(store, platform).verify_mode is ssl.CERT_REQUIRED


def test_a_pair_elsewhere_without_a_witness_is_refused(platform: Platform) -> None:
    away = platform.regions["fr-gra"].model_copy(
        update={"cluster": ClusterContext(context="gra", gateway_address="192.0.2.7")}
    )
    moved = platform.model_copy(update={"regions": {**platform.regions, "fr-gra": away}})
    with pytest.raises(UsageError, match="pair france has no witness"):
        require_witness(moved, moved.pairs["france"])
