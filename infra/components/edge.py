"""A failover pair's edge as both regions keep it: what is routed where, whichever of them is lost."""

from __future__ import annotations

from typing import Final

import pulumi

from infra.components.args import EdgeArgs
from infra.components.declare import declare
from infra.components.kit import Manifest, config_map, secret
from infra.gateway.edge import EdgeConfig, compile_edge
from vitalops import conventions as c

NAME: Final = "vitalops-edge"
FOLDER: Final = "/etc/vitalops/edge"


def compiled(args: EdgeArgs, folder: str = FOLDER) -> str:
    """The pair's edge configuration; `folder` is where the process that runs it keeps its files."""
    pair = args.platform.pairs[args.pair]
    return compile_edge(EdgeConfig(args.pair, pair.edge, args.active_region, args.addresses, folder))


def edge_objects(args: EdgeArgs, region: str) -> list[Manifest]:
    settings = {
        "haproxy.cfg": compiled(args),
        "active-region": args.active_region,
        "ca.crt": args.authority,
    }
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
