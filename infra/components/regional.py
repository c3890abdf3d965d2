"""Everything of one region, in the order in which it can come up."""

from __future__ import annotations

import pulumi

from infra.components.args import RegionArgs, Role
from infra.components.database import Database
from infra.components.declare import declare
from infra.components.gateway import Gateway
from infra.components.media import Media
from infra.components.microservice import MicroService, public_config
from infra.components.migrations import Migrations
from infra.components.namespaces import Namespaces
from infra.components.objects import Objects
from infra.components.policies import NetworkPolicies
from infra.components.telemetry.component import Telemetry
from vitalops import conventions as c


class RegionalPlatform(pulumi.ComponentResource):
    """A whole region. The provider that it is given reaches that region's cluster; every child inherits it.

    Services wait for the migrations where the region's database is the primary. Elsewhere the schema arrives by
    replication, and the services' own readiness says when.
    """

    def __init__(self, args: RegionArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("vitalops:region:RegionalPlatform", args.region, None, opts)
        own = pulumi.ResourceOptions(parent=self)
        namespaces = Namespaces(args, own).ready
        NetworkPolicies(args, namespaces, own)
        Objects(args, namespaces, own)
        database = Database(args, namespaces, own)
        before: list[pulumi.Resource] = [
            declare(public_config(args), parent=self, depends_on=namespaces[c.NAMESPACE_SERVICES])
        ]
        if args.role is Role.PRIMARY:
            before.append(Migrations(args, database.members, namespaces, own).done)
        Media(args, namespaces, own)
        Gateway(args, namespaces, own)
        for service in args.services:
            MicroService(service, args, before, namespaces, own)
        Telemetry(args, namespaces, own)
        self.register_outputs({})
