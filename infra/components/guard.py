"""The guard: a second container beside PostgreSQL. What it decides is in `vitalops.fencing`."""

from __future__ import annotations

import json
from typing import Any, Final

from infra.components import patroni
from infra.components.args import RegionArgs
from infra.components.kit import (
    TMP_MOUNT,
    Manifest,
    container_security,
    host_and_port,
    metadata,
    resources,
)
from infra.components.policies import networks, policy, ports
from vitalops import conventions as c
from vitalops.guard.settings import SETTINGS_FILE
from vitalops.model.addresses import witness_of
from vitalops.model.failover import FailoverMode, Replication
from vitalops.model.resources import Resources

CONTAINER: Final = "guard"
RESOURCES: Final = Resources(cpu="20m", memory="96Mi")
_LEASE_OF_DETECTION: Final = 0.75
"""A region under a lease has fenced itself before anybody may call it lost."""


def lease_seconds(args: RegionArgs) -> float | None:
    """After how long out of everybody's reach the region fences itself; None where nothing is done without a person,
    or where commits that wait for the other region fence it as well.

    Where a witness may fail over by itself, or acknowledged writes are in one region alone, waiting for a commit that
    nobody acknowledges is not enough.
    """
    pair = args.platform.pairs[args.pair]
    automatic = pair.failover.mode is FailoverMode.AUTOMATIC
    alone = pair.replication is Replication.ASYNCHRONOUS and witness_of(args.platform, pair) is not None
    return pair.failover.detection_seconds * _LEASE_OF_DETECTION if automatic or alone else None


def settings(args: RegionArgs, peer: str, peer_members: tuple[str, ...]) -> dict[str, str]:
    """File name -> content, beside Patroni's."""
    pair = args.platform.pairs[args.pair]
    witness = witness_of(args.platform, pair)
    document: dict[str, Any] = {
        "pair": args.pair,
        "region": args.region,
        "peer": peer,
        "home": args.region == pair.primary,
        "peer_address": host_and_port(args.peer_address, c.NODE_PORT_GUARD),
        "witness_address": f"{witness.address}:{witness.port}" if witness else "",
        "replication": pair.replication.value,
        "lease_seconds": lease_seconds(args),
        "peer_members": list(peer_members),
        "upstream": patroni.upstream(args),
        "required": patroni.REQUIRED,
        "standing_name": c.STANDING,
        "patroni_config_name": f"{c.DATABASE_CLUSTER}-config",
        "authority_file": f"{patroni.TLS_FOLDER}/ca.crt",
        "certificate_file": f"{patroni.TLS_FOLDER}/tls.crt",
        "key_file": f"{patroni.TLS_FOLDER}/tls.key",
        "data_folder": f"{patroni.DATA_FOLDER}/cluster",
        "socket_folder": patroni.SOCKET_FOLDER,
        "port": c.GUARD_PORT,
        "local_port": c.GUARD_LOCAL_PORT,
        "patroni_port": c.PATRONI_PORT,
    }
    return {SETTINGS_FILE: json.dumps(document, indent=1)}


def container(args: RegionArgs, image: str, environment: list[Manifest]) -> Manifest:
    """It has the database's user, so that it may end the postmaster; the pod shares its process ids for that."""
    return {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": args.pull_policy,
        "command": ["python3", "-m", "vitalops.guard", patroni.CONFIG_FOLDER],
        "env": environment,
        "ports": [{"name": CONTAINER, "containerPort": c.GUARD_PORT, "protocol": "TCP"}],
        "volumeMounts": [
            TMP_MOUNT,
            {"name": "data", "mountPath": patroni.DATA_FOLDER, "readOnly": True},
            {"name": "run", "mountPath": patroni.SOCKET_FOLDER},
            {"name": "config", "mountPath": patroni.CONFIG_FOLDER, "readOnly": True},
            {"name": "tls", "mountPath": patroni.TLS_FOLDER, "readOnly": True},
        ],
        "resources": resources(RESOURCES),
        "securityContext": container_security(),
        "startupProbe": _probe(period=1, failures=60),
        "readinessProbe": _probe(period=5, failures=3),
        "livenessProbe": _probe(period=5, failures=3),
    }


def _probe(*, period: int, failures: int) -> Manifest:
    return {
        "tcpSocket": {"port": CONTAINER},
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }


def service(args: RegionArgs, selector: dict[str, str]) -> Manifest:
    """Reached also when the database is not ready: whether it may become that is what is asked."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(
            c.GUARD_SERVICE,
            c.NAMESPACE_DATA,
            args.stack,
            args.region,
            component=patroni.POSTGRES,
            annotations={"pulumi.com/skipAwait": "true"},
        ),
        "spec": {
            "type": "NodePort",
            "selector": selector,
            "publishNotReadyAddresses": True,
            "ports": [
                {
                    "name": CONTAINER,
                    "port": c.GUARD_PORT,
                    "targetPort": CONTAINER,
                    "nodePort": c.NODE_PORT_GUARD,
                    "protocol": "TCP",
                }
            ],
        },
    }


def flows(args: RegionArgs) -> list[Manifest]:
    """Guards ask one another and the witness; the witness asks both of them."""
    witness = witness_of(args.platform, args.platform.pairs[args.pair])
    outside = networks(args.peer_networks)
    asked = ports(c.NODE_PORT_GUARD, *([witness.port] if witness else []))
    return [
        policy(
            "guard-across-regions",
            c.NAMESPACE_DATA,
            args,
            {c.LABEL_NAME: patroni.POSTGRES},
            ingress=[{"from": outside, "ports": ports(c.GUARD_PORT)}],
            egress=[{"to": outside, "ports": asked}],
        )
    ]
