"""A failover pair's edge as both regions keep it: what is routed where, whichever of them is lost."""

from __future__ import annotations

from typing import Final

import pulumi

from infra.components.args import EdgeArgs
from infra.components.declare import declare
from infra.components.kit import Manifest, config_map, secret
from infra.gateway.edge import HOLD_FILE, MAP_FILE, EdgeConfig, compile_edge, compile_hold, compile_map
from vitalops import conventions as c

NAME: Final = "vitalops-edge"
FOLDER: Final = "/etc/vitalops/edge"
ACTIVE_REGION: Final = "active-region"
"""Key of the ConfigMap, for people and for what brings the files to where they are needed."""
ANNOTATION_SWITCHED: Final = "vitalops.dev/switched-at"
"""When the region was made active, seconds since 1970: the later of two ConfigMaps that differ is right."""


def edge_config(args: EdgeArgs, folder: str = FOLDER) -> EdgeConfig:
    """`folder` is where the process that runs it keeps its files."""
    pair = args.platform.pairs[args.pair]
    return EdgeConfig(args.pair, pair.edge, args.addresses, folder, pair.failover.drain_seconds)


def edge_texts(args: EdgeArgs, folder: str = FOLDER) -> dict[str, str]:
    """The files that the process reads and that are no secret, by name."""
    config = edge_config(args, folder)
    return {
        "haproxy.cfg": compile_edge(config),
        MAP_FILE: compile_map(config, args.active_region),
        HOLD_FILE: compile_hold(config),
        "ca.crt": args.authority,
    }


def edge_objects(args: EdgeArgs, region: str) -> list[Manifest]:
    settings = {**edge_texts(args), ACTIVE_REGION: args.active_region}
    pem = args.certificate.certificate + args.certificate.key
    return [
        config_map(NAME, c.NAMESPACE_GATEWAY, args.stack, region, settings, NAME),
        secret(NAME, c.NAMESPACE_GATEWAY, args.stack, region, {"edge.pem": pem}, NAME),
    ]


class Edge(pulumi.ComponentResource):
    """The desired edge, in one of the pair's regions."""

    def __init__(self, args: EdgeArgs, region: str, opts: pulumi.ResourceOptions) -> None:
        super().__init__("vitalops:edge:Edge", f"edge-{region}", None, opts)
        for manifest in edge_objects(args, region):
            metadata = manifest["metadata"]
            declare(
                manifest,
                parent=self,
                # Both regions hold objects of the same name.
                logical_name=f"{region}/{metadata['namespace']}/{metadata['name']}",
            )
        self.register_outputs({})
