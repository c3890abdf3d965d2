"""Addresses and folders of regions, and whether they fit this machine."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from infra.local.regions.layout import LONGEST_SOCKET_PATH, Layout, conflicting_routes, layout
from infra.local.regions.network import masquerade_rules, router_link
from vitalops.errors import UsageError
from vitalops.model.loader import load_platform
from vitalops.model.platform import ClusterContext, Platform
from vitalops.paths import Paths
from vitalops.ports.clock import SystemClock, today

PATHS = Paths(Path("/cache"), Path("/state"), Path("/run/vitalops"))


@pytest.fixture(scope="module")
def platform() -> Platform:
    root = Path(__file__).parents[5]
    return load_platform(root / "platform.yaml", today(SystemClock()))


def test_no_two_regions_share_anything(platform: Platform) -> None:
    layouts = [layout(platform, name, PATHS) for name in platform.regions]
    for share in (
        lambda region: region.addresses.node,
        lambda region: region.dns_address,
        lambda region: region.network_namespace,
        lambda region: region.cgroup,
        lambda region: region.state,
        lambda region: region.run,
        lambda region: region.lock,
        router_link,
    ):
        assert len({share(region) for region in layouts}) == len(layouts)


def test_dns_gateway_and_pods_have_addresses_of_their_own_in_the_pods_network(platform: Platform) -> None:
    region = layout(platform, "fr-gra", PATHS)
    addresses = [region.pod_gateway, region.dns_address, region.first_pod_address]
    network = ip_network(region.addresses.pods)
    assert all(ip_address(address) in network for address in addresses)
    assert sorted(addresses, key=ip_address) == addresses
    assert len(set(addresses)) == 3


def test_an_existing_cluster_is_not_a_local_region(platform: Platform) -> None:
    existing = ClusterContext(context="kind-a", gateway_address="10.0.0.1")
    region = platform.regions["fr-par"].model_copy(update={"cluster": existing})
    other = platform.model_copy(update={"regions": {**platform.regions, "fr-par": region}})
    with pytest.raises(UsageError, match="existing cluster"):
        layout(other, "fr-par", PATHS)


def test_folders_too_deep_for_sockets_are_refused(platform: Platform) -> None:
    deep = Paths(Path("/cache"), Path("/" + "d" * LONGEST_SOCKET_PATH), Path("/run/vitalops"))
    with pytest.raises(UsageError, match="too long"):
        layout(platform, "fr-par", deep)


@pytest.mark.parametrize(
    ("routes", "ours", "taken"),
    [
        (["default", "192.168.1.0/24", "10.0.0.0/8"], [], ()),
        (["10.201.0.0/16"], [], ("10.201.0.0/16",)),
        (["10.201.3.0/24", "10.202.0.0/16"], [], ("10.201.3.0/24",)),
        (["10.201.5.7"], [], ("10.201.5.7",)),
        (["10.201.0.0/16", "10.201.0.0/30"], ["10.201.0.0/16", "10.201.0.0/30"], ()),
        (["fe80::/64", "::1"], [], ()),
    ],
)
def test_routes_in_the_way(routes: list[str], ours: list[str], taken: tuple[str, ...]) -> None:
    assert conflicting_routes(routes, ours) == taken


def test_only_what_leaves_the_region_is_masqueraded(platform: Platform) -> None:
    region: Layout = layout(platform, "fr-par", PATHS)
    rules = masquerade_rules(region)
    assert f'ip saddr {region.addresses.pods} oifname "eth0" masquerade' in rules
    # Declared anew as a whole, so that a repeated start does not pile rules up.
    assert rules.index("delete table ip vitalops") < rules.index("chain postrouting")
