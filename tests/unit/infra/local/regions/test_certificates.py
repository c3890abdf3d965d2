"""The cluster's certificates: made once, renewed in time, private."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.local.regions import certificates
from infra.local.regions.layout import Layout
from vitalops.model.addresses import LocalAddresses
from vitalops.pki import alternative_names, expires

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def make(folder: Path, index: int = 8) -> Layout:
    return Layout("west", LocalAddresses(index), folder, folder / "run", folder / "admin.kubeconfig")


@pytest.fixture
def region(tmp_path: Path) -> Layout:
    return make(tmp_path)


def contents(region: Layout) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in region.pki.iterdir()}


def test_a_second_run_changes_nothing(region: Layout) -> None:
    kubeconfigs = certificates.ensure(region, NOW)
    first = contents(region)
    assert certificates.ensure(region, NOW + timedelta(days=30)) == kubeconfigs
    assert contents(region) == first


def test_all_of_it_is_for_its_owner_only(region: Layout) -> None:
    for path in (*certificates.ensure(region, NOW).values(), *region.pki.iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path


def test_leaves_are_renewed_before_they_expire_and_the_authority_stays(region: Layout) -> None:
    certificates.ensure(region, NOW)
    authority = (region.pki / "ca.crt").read_text()
    end = expires((region.pki / "kubelet.crt").read_text())
    certificates.ensure(region, end - timedelta(days=5))
    assert (region.pki / "ca.crt").read_text() == authority
    assert expires((region.pki / "kubelet.crt").read_text()) > end


@pytest.mark.parametrize("lost", ["ca.crt", "ca.key"])
def test_what_an_interrupted_run_left_is_made_whole(region: Layout, lost: str) -> None:
    certificates.ensure(region, NOW)
    old = (region.pki / "apiserver.crt").read_text()
    (region.pki / lost).unlink()
    kubeconfig = certificates.ensure(region, NOW)["admin"]
    assert (region.pki / "apiserver.crt").read_text() != old
    told = json.loads(kubeconfig.read_text())["clusters"][0]["cluster"]["certificate-authority-data"]
    assert base64.b64decode(told) == (region.pki / "ca.crt").read_bytes()


def test_a_kubeconfig_that_is_lost_comes_back_with_the_same_certificate(region: Layout) -> None:
    path = certificates.ensure(region, NOW)["admin"]
    first = path.read_text()
    path.unlink()
    certificates.ensure(region, NOW)
    assert path.read_text() == first


def test_other_addresses_need_another_certificate(region: Layout, tmp_path: Path) -> None:
    certificates.ensure(region, NOW)
    certificates.ensure(make(tmp_path, 9), NOW)
    assert "10.201.9.2" in alternative_names((region.pki / "apiserver.crt").read_text())


def test_the_context_has_the_regions_name(region: Layout) -> None:
    config = json.loads(certificates.ensure(region, NOW)["admin"].read_text())
    assert config["current-context"] == "west"
    assert config["clusters"][0]["cluster"]["server"] == region.addresses.api_url
