"""Network policies around metrics and alerts: what may be scraped, where alerts and spans go, and who may ask.

What traces and logs need of their own namespaces is said where they are declared.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from infra.components.args import RegionArgs
from infra.components.kit import Manifest, host_and_port
from infra.components.policies import ANYWHERE, API_SERVER_PORTS, networks, pods, policy, ports
from vitalops import conventions as c

KUBELET_PORT: Final = 10250
DNS_METRICS_PORT: Final = 9153

# Ports of the telemetry's own programs that Prometheus asks; Grafana's is its only one.
_OWN_METRICS: Final = (
    c.PROMETHEUS_PORT,
    c.ALERTMANAGER_PORT,
    c.TRACES_METRICS_PORT,
    c.LOGS_PORT,
    c.PROBER_METRICS_PORT,
    c.GRAFANA_PORT,
)


def scraped(args: RegionArgs) -> dict[str, tuple[int, ...]]:
    """Namespace -> ports that Prometheus asks there."""
    return {
        c.NAMESPACE_SERVICES: tuple(sorted({service.port for service in args.services})),
        c.NAMESPACE_GATEWAY: (c.GATEWAY_METRICS_PORT,),
        c.NAMESPACE_MEDIA: (c.LIVEKIT_METRICS_PORT,),
        c.NAMESPACE_DATA: (c.PATRONI_PORT, c.BACKUP_METRICS_PORT),
        c.NAMESPACE_TELEMETRY: _OWN_METRICS,
        c.NAMESPACE_AGENTS: (c.COLLECTOR_METRICS_PORT,),
    }


def asked_by_operators(name: str, args: RegionArgs, port: int, *also: Manifest) -> Manifest:
    """In comes what the API server passes on for `vitalops`, and what `also` names.

    The address that an API server's connections come from is known of local regions only. Elsewhere the port is open to
    the cluster, as other namespaces' own egress policies allow.
    """
    local = args.platform.regions[args.region].cluster == "local"
    server = networks([f"{args.node_address}/32"] if local else ANYWHERE)
    return policy(
        f"{name}-asked",
        c.NAMESPACE_TELEMETRY,
        args,
        {c.LABEL_NAME: name},
        ingress=[{"from": [*server, *also], "ports": ports(port)}],
    )


def webhook_ports(urls: Iterable[str]) -> tuple[int, ...]:
    """Ports of the URLs, each once."""
    found = {(parts.port or (443 if parts.scheme == "https" else 80)) for parts in map(urlsplit, urls)}
    return tuple(sorted(found))


def metrics_flows(args: RegionArgs) -> list[Manifest]:
    """Prometheus to everything that it scrapes, and to Alertmanager."""
    prometheus = pods(c.NAMESPACE_TELEMETRY, c.PROMETHEUS_SERVICE)
    targets = scraped(args)
    peer_port = int(host_and_port(args.peer_address, c.NODE_PORT_GATEWAY).rpartition(":")[2])
    outwards = policy(
        c.PROMETHEUS_SERVICE,
        c.NAMESPACE_TELEMETRY,
        args,
        {c.LABEL_NAME: c.PROMETHEUS_SERVICE},
        egress=[
            *({"to": [pods(namespace)], "ports": ports(*numbers)} for namespace, numbers in targets.items()),
            # Kubelets, API server and DNS are at addresses of nodes, or of a provider's network.
            {
                "to": networks(ANYWHERE),
                "ports": ports(KUBELET_PORT, DNS_METRICS_PORT, *API_SERVER_PORTS),
            },
            {"to": networks(args.peer_networks), "ports": ports(peer_port)},
        ],
    )
    inwards = [
        policy(
            "scraped-by-prometheus",
            namespace,
            args,
            {},
            ingress=[{"from": [prometheus], "ports": ports(*numbers)}],
        )
        for namespace, numbers in targets.items()
    ]
    return [outwards, *inwards]


def alert_flows(args: RegionArgs) -> list[Manifest]:
    """Alertmanager to the webhooks, wherever they are."""
    numbers = webhook_ports(webhook.url for webhook in args.platform.alerting.webhooks)
    if not numbers:
        return []
    return [
        policy(
            c.ALERTMANAGER_SERVICE,
            c.NAMESPACE_TELEMETRY,
            args,
            {c.LABEL_NAME: c.ALERTMANAGER_SERVICE},
            egress=[{"to": networks(ANYWHERE), "ports": ports(*numbers)}],
        )
    ]


def trace_flows(args: RegionArgs) -> list[Manifest]:
    """Spans leave the services for Jaeger, whose own policy lets them in."""
    jaeger = pods(c.NAMESPACE_TELEMETRY, c.TRACES_SERVICE)
    return [
        policy(
            "traces",
            c.NAMESPACE_SERVICES,
            args,
            {},
            egress=[{"to": [jaeger], "ports": ports(c.TRACES_OTLP_PORT)}],
        )
    ]


def asking_flows(args: RegionArgs) -> list[Manifest]:
    """`vitalops` and Grafana to what can be asked."""
    grafana = pods(c.NAMESPACE_TELEMETRY, c.GRAFANA_SERVICE)
    return [
        asked_by_operators(c.PROMETHEUS_SERVICE, args, c.PROMETHEUS_PORT, grafana),
        asked_by_operators(c.ALERTMANAGER_SERVICE, args, c.ALERTMANAGER_PORT, grafana),
    ]


def telemetry_flows(args: RegionArgs) -> list[Manifest]:
    """In the telemetry's own namespaces and in those that it looks into."""
    return [
        *metrics_flows(args),
        *alert_flows(args),
        *trace_flows(args),
        *asking_flows(args),
    ]
