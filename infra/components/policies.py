"""Network policies: everything denied, then each flow that the platform declares, by name.

The flows are derived from platform.yaml (`depends_on`, `uses_media`, `database`, `public`), so that a call a service
does not declare does not get through. Kubelet probes come from the node and are let through by every CNI.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pulumi

from infra.components.args import RegionArgs
from infra.components.declare import declare
from infra.components.kit import DNS_LABELS, Manifest, metadata
from infra.components.patroni import POSTGRES
from vitalops import conventions as c

ANYWHERE = ("0.0.0.0/0", "::/0")
API_SERVER_PORTS = (443, 6443)
MIGRATIONS = "database-migrations"


def pods(namespace: str, name: str | None = None) -> Manifest:
    peer: Manifest = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    if name:
        peer["podSelector"] = {"matchLabels": {c.LABEL_NAME: name}}
    return peer


def networks(cidrs: Iterable[str]) -> list[Manifest]:
    return [{"ipBlock": {"cidr": cidr}} for cidr in cidrs]


def ports(*numbers: int, protocol: str = "TCP") -> list[Manifest]:
    return [{"protocol": protocol, "port": number} for number in numbers]


def policy(
    name: str,
    namespace: str,
    args: RegionArgs,
    selector: Mapping[str, str],
    *,
    ingress: Sequence[Manifest] = (),
    egress: Sequence[Manifest] = (),
) -> Manifest:
    spec: Manifest = {
        "podSelector": {"matchLabels": dict(selector)} if selector else {},
        "policyTypes": [kind for kind, rules in (("Ingress", ingress), ("Egress", egress)) if rules],
    }
    if ingress:
        spec["ingress"] = list(ingress)
    if egress:
        spec["egress"] = list(egress)
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(name, namespace, args.stack, args.region),
        "spec": spec,
    }


def default_deny(namespace: str, args: RegionArgs) -> Manifest:
    made = policy("default-deny", namespace, args, {})
    made["spec"]["policyTypes"] = ["Ingress", "Egress"]
    return made


def allow_dns(namespace: str, args: RegionArgs) -> Manifest:
    peer = pods("kube-system")
    peer["podSelector"] = {"matchLabels": DNS_LABELS}
    rule = {"to": [peer], "ports": [*ports(53, protocol="UDP"), *ports(53)]}
    return policy("allow-dns", namespace, args, {}, egress=[rule])


def database_flows(args: RegionArgs) -> list[Manifest]:
    """PostgreSQL: from the services that own a database, from the paired region, among members, to the API server."""
    selector = {c.LABEL_NAME: POSTGRES}
    clients = [pods(c.NAMESPACE_SERVICES, service.name) for service in args.services if service.database]
    clients.append(pods(c.NAMESPACE_DATA, MIGRATIONS))
    return [
        policy(
            MIGRATIONS,
            c.NAMESPACE_DATA,
            args,
            {c.LABEL_NAME: MIGRATIONS},
            egress=[{"to": [pods(c.NAMESPACE_DATA, POSTGRES)], "ports": ports(c.POSTGRES_PORT)}],
        ),
        policy(
            "postgres-from-clients",
            c.NAMESPACE_DATA,
            args,
            selector,
            ingress=[{"from": clients, "ports": ports(c.POSTGRES_PORT)}],
        ),
        policy(
            "postgres-across-regions",
            c.NAMESPACE_DATA,
            args,
            selector,
            ingress=[{"from": networks(args.peer_networks), "ports": ports(c.POSTGRES_PORT, c.PATRONI_PORT)}],
            egress=[{"to": networks(args.peer_networks), "ports": ports(c.NODE_PORT_POSTGRES)}],
        ),
        policy(
            "postgres-members",
            c.NAMESPACE_DATA,
            args,
            selector,
            ingress=[
                {"from": [pods(c.NAMESPACE_DATA, POSTGRES)], "ports": ports(c.POSTGRES_PORT, c.PATRONI_PORT)}
            ],
            egress=[
                {"to": [pods(c.NAMESPACE_DATA, POSTGRES)], "ports": ports(c.POSTGRES_PORT, c.PATRONI_PORT)}
            ],
        ),
        policy(
            "postgres-to-api-server",
            c.NAMESPACE_DATA,
            args,
            selector,
            egress=[{"to": networks(ANYWHERE), "ports": ports(*API_SERVER_PORTS)}],
        ),
    ]


def service_flows(args: RegionArgs) -> list[Manifest]:
    """One policy for each service: who may call it, and whom it may call."""
    made: list[Manifest] = []
    postgres = {"to": [pods(c.NAMESPACE_DATA, POSTGRES)], "ports": ports(c.POSTGRES_PORT)}
    for service in args.services:
        callers = [
            pods(c.NAMESPACE_SERVICES, other.name)
            for other in args.services
            if service.name in other.depends_on
        ]
        if service.public:
            callers.append(pods(c.NAMESPACE_GATEWAY, c.GATEWAY_SERVICE))
        if service.uses_media:
            callers.append(pods(c.NAMESPACE_MEDIA, c.LIVEKIT_SERVICE))
        ingress = [{"from": callers, "ports": ports(service.port)}] if callers else []
        egress = [
            {"to": [pods(c.NAMESPACE_SERVICES, name)], "ports": ports(args.platform.services[name].port)}
            for name in service.depends_on
        ]
        if service.database:
            egress.append(postgres)
        if service.uses_media:
            egress.append(
                {"to": [pods(c.NAMESPACE_MEDIA, c.LIVEKIT_SERVICE)], "ports": ports(c.LIVEKIT_PORT)}
            )
            # What happens in calls is told to the other region while this one is the standby.
            egress.append({"to": networks(args.peer_networks), "ports": ports(c.NODE_PORT_GATEWAY)})
        if ingress or egress:
            selector = {c.LABEL_NAME: service.name}
            made.append(
                policy(service.name, c.NAMESPACE_SERVICES, args, selector, ingress=ingress, egress=egress)
            )
    return made


def gateway_flows(args: RegionArgs) -> list[Manifest]:
    public = [service for service in args.services if service.public]
    egress = [
        {"to": [pods(c.NAMESPACE_SERVICES, service.name)], "ports": ports(service.port)} for service in public
    ]
    egress.append({"to": [pods(c.NAMESPACE_MEDIA, c.LIVEKIT_SERVICE)], "ports": ports(c.LIVEKIT_PORT)})
    return [
        policy(
            c.GATEWAY_SERVICE,
            c.NAMESPACE_GATEWAY,
            args,
            {c.LABEL_NAME: c.GATEWAY_SERVICE},
            # Some network plugins do not take the cluster's own pods for part of any network.
            ingress=[
                {
                    "from": [*networks(ANYWHERE), pods(c.NAMESPACE_TELEMETRY, c.PROBER)],
                    "ports": ports(c.GATEWAY_PORT),
                }
            ],
            egress=egress,
        )
    ]


def media_flows(args: RegionArgs) -> list[Manifest]:
    """LiveKit: signalling from the gateway and from services that use it; media from and to anywhere, as calls are."""
    callers = [pods(c.NAMESPACE_GATEWAY, c.GATEWAY_SERVICE)]
    hooks: list[Manifest] = []
    for service in args.services:
        if service.uses_media:
            callers.append(pods(c.NAMESPACE_SERVICES, service.name))
            hooks.append({"to": [pods(c.NAMESPACE_SERVICES, service.name)], "ports": ports(service.port)})
    media_ports = [*ports(c.NODE_PORT_MEDIA_UDP, protocol="UDP"), *ports(c.NODE_PORT_MEDIA_TCP)]
    return [
        policy(
            c.LIVEKIT_SERVICE,
            c.NAMESPACE_MEDIA,
            args,
            {c.LABEL_NAME: c.LIVEKIT_SERVICE},
            ingress=[
                {"from": callers, "ports": ports(c.LIVEKIT_PORT)},
                {
                    "from": [*networks(ANYWHERE), pods(c.NAMESPACE_TELEMETRY, c.PROBER)],
                    "ports": media_ports,
                },
            ],
            # A participant's own candidate may have any port.
            egress=[{"to": networks(ANYWHERE), "ports": [{"protocol": "UDP"}]}, *hooks],
        )
    ]


def network_policies(args: RegionArgs) -> list[Manifest]:
    """Every policy of a region."""
    base = [make(namespace, args) for namespace in c.NAMESPACES for make in (default_deny, allow_dns)]
    return [*base, *database_flows(args), *service_flows(args), *gateway_flows(args), *media_flows(args)]


class NetworkPolicies(pulumi.ComponentResource):
    """Default deny in every namespace, and the platform's named flows."""

    def __init__(
        self,
        args: RegionArgs,
        namespaces: Mapping[str, Sequence[pulumi.Resource]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("vitalops:region:NetworkPolicies", "network-policies", None, opts)
        for manifest in network_policies(args):
            declare(manifest, parent=self, depends_on=namespaces[manifest["metadata"]["namespace"]])
        self.register_outputs({})
