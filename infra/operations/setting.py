"""What the platform commands act with: the platform, its stacks, an engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address

from infra.components.args import EdgeArgs, RegionArgs
from infra.edge.process import EdgeProcess
from infra.engines.protocol import Engine, Stack
from infra.kube import KubernetesApi
from infra.program.access import connect
from infra.program.inputs import Surroundings, edge_args, region_args
from infra.program.stacks import edge_program, region_program
from vitalops.errors import UsageError
from vitalops.model.platform import FailoverPair, Platform
from vitalops.model.selection import pair_of
from vitalops.paths import Paths
from vitalops.secretstore import FileSecretStore


class EngineChoice(StrEnum):
    """`auto` takes the real engine where the Pulumi CLI is on PATH, the embedded one otherwise."""

    AUTO = "auto"
    EMBEDDED = "embedded"
    PULUMI = "pulumi"


@dataclass(frozen=True, slots=True)
class Setting:
    """One call of one command."""

    platform: Platform
    paths: Paths
    regions: tuple[str, ...]
    engine: EngineChoice = EngineChoice.AUTO
    dashboards: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """JSON by file name, from whoever compiles them; needed where the platform has a Grafana."""

    @property
    def local_regions(self) -> tuple[str, ...]:
        return tuple(name for name in self.regions if self.platform.regions[name].cluster == "local")

    @property
    def pairs(self) -> tuple[FailoverPair, ...]:
        """The pairs of which both regions are meant: only those have an edge to bring up."""
        return tuple(
            pair
            for pair in self.platform.pairs.values()
            if pair.primary in self.regions and pair.standby in self.regions
        )

    @property
    def store(self) -> FileSecretStore:
        return FileSecretStore(self.paths.secrets(self.platform.name))

    def surroundings(self, images: Mapping[str, str]) -> Surroundings:
        return Surroundings(self.platform, self.paths, self.store, images, self.dashboards)

    def connect(self, region: str) -> KubernetesApi:
        """The API of a region's cluster. Raises RemoteError where there is no way to it."""
        return connect(self.platform, self.paths, region)

    def make_engine(self) -> Engine:
        from infra.engines.pulumi_cli import on_path

        wanted = self.engine
        if wanted is EngineChoice.AUTO:
            wanted = EngineChoice.PULUMI if on_path() else EngineChoice.EMBEDDED
        if wanted is EngineChoice.PULUMI:
            from infra.engines.pulumi_cli import PulumiEngine
            from infra.program.secrets import password

            passphrase = self.store.get_or_create("pulumi/passphrase", password)
            return PulumiEngine(self.paths.state / "pulumi" / self.platform.name, passphrase)
        from infra.engines.embedded import EmbeddedEngine

        return EmbeddedEngine(self.connect)

    def edge_process(self, pair: FailoverPair) -> EdgeProcess:
        return EdgeProcess(pair.name, pair.edge, self.paths.run / "edge" / pair.name)

    def has_edge_here(self, pair: FailoverPair) -> bool:
        """Whether the pair's edge is a process of this machine: its regions are, or it listens on loopback."""
        return self.is_local(pair) or ip_address(pair.edge.address).is_loopback

    def is_local(self, pair: FailoverPair) -> bool:
        """Whether both regions of the pair run on this machine."""
        return all(self.platform.regions[name].cluster == "local" for name in (pair.primary, pair.standby))

    def require_pairs(self) -> None:
        """Raises UsageError for a region that belongs to no pair."""
        for region in self.regions:
            if pair_of(self.platform, region) is None:
                raise UsageError(
                    f"region {region} belongs to no failover pair", hint="add it to one under `pairs`"
                )


def region_stack(args: RegionArgs) -> Stack:
    return Stack(args.stack, region_program(args), (args.region,))


def edge_stack(args: EdgeArgs) -> Stack:
    return Stack(args.stack, edge_program(args), tuple(args.clusters))


def stacks(setting: Setting, images: Mapping[str, str]) -> tuple[tuple[Stack, ...], tuple[Stack, ...]]:
    """The stacks of the regions, which can go side by side, and those of the edges, which come after."""
    around = setting.surroundings(images)
    setting.require_pairs()
    return (
        tuple(region_stack(region_args(around, region)) for region in setting.regions),
        tuple(edge_stack(edge_args(around, pair.name)) for pair in setting.pairs),
    )
