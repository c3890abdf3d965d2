"""From the platform, this machine's paths and the secret store to the programs' arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.components.args import POD_LOGS, EdgeArgs, RegionArgs, Role
from infra.components.kit import host_and_port
from infra.components.policies import ANYWHERE
from infra.local.regions.layout import POD_LOGS as LOCAL_POD_LOGS
from infra.program.access import cluster_access
from infra.program.secrets import authority, edge_certificate, region_secrets
from infra.program.stacks import StackName
from infra.program.state import active_region
from vitalops import conventions as c
from vitalops.errors import UsageError
from vitalops.model.addresses import WAN_NETWORK, LocalAddresses
from vitalops.model.platform import Platform
from vitalops.model.selection import other_region, pair_of, services_of
from vitalops.paths import Paths
from vitalops.secretstore import SecretStore


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the programs' arguments are gathered from."""

    platform: Platform
    paths: Paths
    store: SecretStore
    images: Mapping[str, str]
    dashboards: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """JSON by file name; needed where the platform has a Grafana."""


def node_address(platform: Platform, region: str) -> str:
    """Where a region's node ports are reached."""
    cluster = platform.regions[region].cluster
    return LocalAddresses.of(platform, region).node if cluster == "local" else cluster.gateway_address


def region_args(around: Surroundings, region: str) -> RegionArgs:
    """Arguments of one region's stack. Raises UsageError for a region that belongs to no pair."""
    platform, paths = around.platform, around.paths
    pair = pair_of(platform, region)
    if pair is None:
        raise UsageError(f"region {region} belongs to no failover pair", hint="add it to one under `pairs`")
    peer = other_region(pair, region)
    cluster = platform.regions[region].cluster
    local = cluster == "local"
    services = services_of(platform, pair.name)
    addresses = tuple(node_address(platform, name) for name in (pair.primary, pair.standby))
    active = active_region(paths.state, platform.name, pair)
    return RegionArgs(
        stack=str(StackName("region", region)),
        platform=platform,
        region=region,
        pair=pair.name,
        role=Role.PRIMARY if region == active else Role.STANDBY,
        cluster=cluster_access(platform, paths, region),
        node_address=node_address(platform, region),
        peer_address=node_address(platform, peer),
        # Addresses of other clusters may be translated on the way; TLS and passwords guard the port either way.
        peer_networks=(WAN_NETWORK,) if local else ANYWHERE,
        public_url=pair.edge.public_url,
        storage_class=c.STORAGE_CLASS_LOCAL if cluster == "local" else cluster.storage_class,
        images=around.images,
        secrets=region_secrets(around.store, platform, pair.name, region, services, addresses),
        pod_logs=str(paths.region(region) / LOCAL_POD_LOGS) if local else POD_LOGS,
        dashboards=around.dashboards,
    )


def edge_args(around: Surroundings, pair_name: str) -> EdgeArgs:
    """Arguments of one pair's edge stack."""
    platform, paths = around.platform, around.paths
    pair = platform.pairs[pair_name]
    regions = (pair.primary, pair.standby)
    return EdgeArgs(
        stack=str(StackName("edge", pair.name)),
        platform=platform,
        pair=pair.name,
        active_region=active_region(paths.state, platform.name, pair),
        clusters={region: cluster_access(platform, paths, region) for region in regions},
        addresses={region: gateway_endpoint(platform, region) for region in regions},
        certificate=edge_certificate(around.store, platform, pair.name),
        authority=authority(around.store, platform).certificate_pem,
    )


def gateway_endpoint(platform: Platform, region: str) -> str:
    """`host:port` of a region's gateway; a gateway address with a port of its own is taken as it is."""
    return host_and_port(node_address(platform, region), c.NODE_PORT_GATEWAY)
