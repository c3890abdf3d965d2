"""The names of the stacks, and the programs behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from infra.components.args import EdgeArgs, RegionArgs
from vitalops.errors import UsageError

PROJECT: Final = "vitalops"


@dataclass(frozen=True, slots=True)
class StackName:
    """`region-NAME` or `edge-PAIR`."""

    kind: Literal["region", "edge"]
    subject: str

    def __str__(self) -> str:
        return f"{self.kind}-{self.subject}"

    @staticmethod
    def parse(text: str) -> StackName:
        """Raises UsageError for anything else."""
        kind, _, subject = text.partition("-")
        if kind == "region" and subject:
            return StackName("region", subject)
        if kind == "edge" and subject:
            return StackName("edge", subject)
        raise UsageError(f"{text!r} is no stack of this project", hint="stacks are region-NAME and edge-PAIR")


def region_program(args: RegionArgs) -> Callable[[], None]:
    """The program of one region's stack."""

    def program() -> None:
        import pulumi

        from infra.components.provider import provider
        from infra.components.regional import RegionalPlatform

        cluster = provider(args.region, args.cluster)
        RegionalPlatform(args, pulumi.ResourceOptions(provider=cluster))
        pulumi.export("region", args.region)
        pulumi.export("role", args.role.value)
        pulumi.export("gateway", f"{args.node_address}")

    return program


def edge_program(args: EdgeArgs) -> Callable[[], None]:
    """The program of one pair's edge stack."""

    def program() -> None:
        import pulumi

        from infra.components.edge import Edge
        from infra.components.provider import provider

        for region, access in args.clusters.items():
            cluster = provider(region, access)
            Edge(args, region, pulumi.ResourceOptions(provider=cluster))
        pulumi.export("pair", args.pair)
        pulumi.export("active_region", args.active_region)

    return program
