"""The addresses of regions that run on this machine, derived from a region's place in platform.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from vitalops.model.failover import Witness
from vitalops.model.platform import FailoverPair, Platform

WAN_NAMESPACE = "vitalops-wan"
WAN_HOST_ADDRESS = "10.201.0.2"
WAN_ROUTER_ADDRESS = "10.201.0.1"
WAN_NETWORK = "10.201.0.0/16"
MAXIMUM_LOCAL_REGIONS = 9


@dataclass(frozen=True, slots=True)
class LocalAddresses:
    """One local region's networks. `index` is 1-based and below 10."""

    index: int

    @staticmethod
    def of(platform: Platform, region: str) -> LocalAddresses:
        return LocalAddresses(list(platform.regions).index(region) + 1)

    @property
    def node(self) -> str:
        return f"10.201.{self.index}.2"

    @property
    def router(self) -> str:
        return f"10.201.{self.index}.1"

    @property
    def pods(self) -> str:
        return f"10.210.{self.index}.0/24"

    @property
    def services(self) -> str:
        return f"10.22{self.index}.0.0/16"

    @property
    def api_service(self) -> str:
        return f"10.22{self.index}.0.1"

    @property
    def dns_service(self) -> str:
        return f"10.22{self.index}.0.10"

    @property
    def api_url(self) -> str:
        return f"https://{self.node}:6443"


def witness_of(platform: Platform, pair: FailoverPair) -> Witness | None:
    """Where the pair's witness is reached: as the pair says; else, where both of its regions run on this machine, this
    machine's address towards them, with a port of its own for each pair. None where there is no witness."""
    if pair.failover.witness is not None:
        return pair.failover.witness
    if any(platform.regions[region].cluster != "local" for region in (pair.primary, pair.standby)):
        return None
    first: int = Witness.model_fields["port"].default
    return Witness(address=WAN_HOST_ADDRESS, port=first + list(platform.pairs).index(pair.name))
