"""The ways by which a pair's clients reach it, as this machine can direct them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.operations.edge import authority_file, bring_up_edge
from infra.program.inputs import node_address
from infra.traffic.dns import DnsDirector
from infra.traffic.edge import EdgeDirector, KeptEdgeDirector
from vitalops.model.failover import DnsRecord
from vitalops.model.platform import FailoverPair, Platform
from vitalops.ports.progress import SilentProgress
from vitalops.ports.traffic import TrafficDirector
from vitalops.secretstore import SecretStore

if TYPE_CHECKING:
    from infra.operations.running import OperatedPlatform


def directors_of(running: OperatedPlatform, pair: FailoverPair) -> tuple[TrafficDirector, ...]:
    """The pair's edge first, then its DNS name where it has one. Connects to nothing yet."""
    setting = running.setting
    found: list[TrafficDirector] = []
    if setting.has_edge_here(pair):
        process, authority = setting.edge_process(pair), authority_file(setting)
        found.append(
            EdgeDirector(
                pair,
                process,
                running.clock,
                authority=lambda: authority.read_text() if authority.exists() else "",
                revive=lambda: bring_up_edge(setting, pair, SilentProgress()),
            )
        )
    else:
        clusters = {region: running.cluster(region) for region in (pair.primary, pair.standby)}
        found.append(KeptEdgeDirector(pair, clusters, running.clock))
    if pair.dns is not None:
        found.append(dns_director(setting.platform, pair, pair.dns, setting.store))
    return tuple(found)


def dns_director(
    platform: Platform, pair: FailoverPair, record: DnsRecord, store: SecretStore
) -> DnsDirector:
    """The pair's DNS name. A record holds no port: that of a gateway's address is left out."""
    regions = (pair.primary, pair.standby)
    return DnsDirector(
        pair, record, {region: host_of(node_address(platform, region)) for region in regions}, store
    )


def host_of(address: str) -> str:
    """`host` of `host`, `host:port` or `[address]:port`; an address of IPv6 alone is one too."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address
