"""PostgreSQL 17 under Patroni 4: one cluster in each region, the standby region's following the primary's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi

from infra.components import backup, guard, patroni
from infra.components.args import RegionArgs, Role
from infra.components.declare import declare
from infra.components.kit import (
    TMP_MOUNT,
    TMP_VOLUME,
    Manifest,
    config_map,
    container_security,
    disruption_budget,
    field_environment,
    host,
    http_probe,
    metadata,
    pod_security,
    resources,
    secret,
    secret_environment,
    service_account,
    spread,
)
from infra.engines.objects import fingerprint
from vitalops import conventions as c
from vitalops.model.resources import Resources
from vitalops.pki import alternative_names

CREDENTIALS: Final = "postgres-credentials"
TLS: Final = "postgres-tls"
CONFIG: Final = "postgres-config"
HEADLESS: Final = "postgres"

# Waits until the paired region's primary takes replication connections; a cluster that has data already does not wait.
_WAIT_FOR_UPSTREAM: Final = f"""\
set -eu
upstream=$(cat {patroni.CONFIG_FOLDER}/upstream)
[ -n "$upstream" ] || exit 0
[ ! -e {patroni.DATA_FOLDER}/cluster/PG_VERSION ] || exit 0
until psql "host=$upstream port={c.NODE_PORT_POSTGRES} user={patroni.USER_REPLICATION} dbname=postgres \
replication=true sslmode=verify-full sslrootcert={patroni.TLS_FOLDER}/ca.crt connect_timeout=2" \
-Atc IDENTIFY_SYSTEM >/dev/null 2>/tmp/reason; do
  echo "waiting for the primary region's database at $upstream: $(head -n 1 /tmp/reason)"
  sleep 1
done
"""


def member_set(args: RegionArgs) -> str:
    """Name of the StatefulSet. It carries the region, because a member's name is its application_name on the primary
    that it replicates from, and there the two regions' members must differ."""
    return f"{patroni.POSTGRES}-{args.region}"


def member_names(region: str, args: RegionArgs) -> tuple[str, ...]:
    """As the members of a region of the pair call themselves when they replicate."""
    return tuple(f"{patroni.POSTGRES}-{region}-{each}" for each in range(args.platform.database.members))


def server_names() -> tuple[str, ...]:
    """DNS names under which the server is reached, for its certificate."""
    services = (c.POSTGRES_PRIMARY_SERVICE, c.POSTGRES_STANDBY_SERVICE, HEADLESS)
    return (
        "localhost",
        *(
            name
            for service in services
            for name in (f"{service}.{c.NAMESPACE_DATA}", host(service, c.NAMESPACE_DATA))
        ),
        f"*.{host(HEADLESS, c.NAMESPACE_DATA)}",
    )


def _labels() -> dict[str, str]:
    return {c.LABEL_NAME: patroni.POSTGRES, patroni.CLUSTER_LABEL: c.DATABASE_CLUSTER}


def access(args: RegionArgs) -> list[Manifest]:
    """Service account, role and binding: Patroni keeps its leader lease in ConfigMaps and labels its own pods."""
    name, namespace = patroni.POSTGRES, c.NAMESPACE_DATA
    return [
        # Patroni is the one workload that talks to the API server.
        service_account(name, namespace, args.stack, args.region, automount=True),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": metadata(name, namespace, args.stack, args.region),
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["configmaps"],
                    "verbs": [
                        "create",
                        "get",
                        "list",
                        "patch",
                        "update",
                        "watch",
                        "delete",
                        "deletecollection",
                    ],
                },
                {
                    "apiGroups": [""],
                    "resources": ["pods"],
                    "verbs": ["get", "list", "patch", "update", "watch"],
                },
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": metadata(name, namespace, args.stack, args.region),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        },
    ]


def configuration(args: RegionArgs) -> list[Manifest]:
    namespace, database = c.NAMESPACE_DATA, args.secrets.database
    peer = peer_region(args)
    return [
        config_map(
            CONFIG,
            namespace,
            args.stack,
            args.region,
            {
                "patroni.yaml": patroni.compiled(args, peer),
                "upstream": args.peer_address if args.role is Role.STANDBY else "",
                **guard.settings(args, peer, member_names(peer, args)),
            },
            patroni.POSTGRES,
        ),
        secret(
            CREDENTIALS,
            namespace,
            args.stack,
            args.region,
            {
                "superuser": database.superuser,
                "replication": database.replication,
                "rewind": database.rewind,
                "rest-api": database.rest_api,
            },
            patroni.POSTGRES,
        ),
        backup.keys(args),
        secret(
            TLS,
            namespace,
            args.stack,
            args.region,
            {
                "tls.crt": database.server.certificate,
                "tls.key": database.server.key,
                "ca.crt": args.secrets.authority,
            },
            patroni.POSTGRES,
        ),
    ]


def peer_region(args: RegionArgs) -> str:
    pair = args.platform.pairs[args.pair]
    return pair.standby if args.region == pair.primary else pair.primary


def services(args: RegionArgs) -> list[Manifest]:
    """The primary, the standby leader, the members' own names, and the node port across regions."""

    def service(name: str, spec: Manifest) -> Manifest:
        return {
            "apiVersion": "v1",
            "kind": "Service",
            # A Service without pods behind it is normal here: each region has either a primary or a standby leader.
            "metadata": metadata(
                name,
                c.NAMESPACE_DATA,
                args.stack,
                args.region,
                component=patroni.POSTGRES,
                annotations={"pulumi.com/skipAwait": "true"},
            ),
            "spec": spec,
        }

    port: Manifest = {
        "name": "postgres",
        "port": c.POSTGRES_PORT,
        "targetPort": "postgres",
        "protocol": "TCP",
    }
    by_role = {
        role: {**_labels(), patroni.ROLE_LABEL: role}
        for role in (patroni.ROLE_PRIMARY, patroni.ROLE_STANDBY_LEADER)
    }
    primary, standby = by_role[patroni.ROLE_PRIMARY], by_role[patroni.ROLE_STANDBY_LEADER]
    return [
        service(c.POSTGRES_PRIMARY_SERVICE, {"type": "ClusterIP", "selector": primary, "ports": [port]}),
        service(c.POSTGRES_STANDBY_SERVICE, {"type": "ClusterIP", "selector": standby, "ports": [port]}),
        service(
            "postgres-across-regions",
            {"type": "NodePort", "selector": primary, "ports": [{**port, "nodePort": c.NODE_PORT_POSTGRES}]},
        ),
        service(
            HEADLESS,
            {
                "type": "ClusterIP",
                "clusterIP": "None",
                "selector": _labels(),
                # Members must find one another before they are ready.
                "publishNotReadyAddresses": True,
                "ports": [port],
            },
        ),
    ]


def _environment() -> list[Manifest]:
    own_name = f"$(POD_NAME).{host(HEADLESS, c.NAMESPACE_DATA)}"
    fixed = {
        "PATRONI_NAME": "$(POD_NAME)",
        "PATRONI_KUBERNETES_NAMESPACE": "$(POD_NAMESPACE)",
        "PATRONI_POSTGRESQL_CONNECT_ADDRESS": f"{own_name}:{c.POSTGRES_PORT}",
        "PATRONI_RESTAPI_CONNECT_ADDRESS": f"{own_name}:{c.PATRONI_PORT}",
        "PATRONI_SUPERUSER_USERNAME": patroni.USER_SUPERUSER,
        "PATRONI_REPLICATION_USERNAME": patroni.USER_REPLICATION,
        "PATRONI_REWIND_USERNAME": patroni.USER_REWIND,
        "PATRONI_RESTAPI_USERNAME": patroni.USER_REST_API,
        "HOME": "/tmp",
    }
    return [
        field_environment("POD_NAME", "metadata.name"),
        field_environment("POD_NAMESPACE", "metadata.namespace"),
        *({"name": name, "value": value} for name, value in fixed.items()),
        secret_environment("PATRONI_SUPERUSER_PASSWORD", CREDENTIALS, "superuser"),
        secret_environment("PATRONI_REPLICATION_PASSWORD", CREDENTIALS, "replication"),
        secret_environment("PATRONI_REWIND_PASSWORD", CREDENTIALS, "rewind"),
        secret_environment("PATRONI_RESTAPI_PASSWORD", CREDENTIALS, "rest-api"),
    ]


def stateful_set(args: RegionArgs) -> Manifest:
    name, image = member_set(args), args.images["database"]
    mounts: list[Manifest] = [
        TMP_MOUNT,
        {"name": "data", "mountPath": patroni.DATA_FOLDER},
        {"name": "run", "mountPath": patroni.SOCKET_FOLDER},
        {"name": "config", "mountPath": patroni.CONFIG_FOLDER, "readOnly": True},
        {"name": "tls", "mountPath": patroni.TLS_FOLDER, "readOnly": True},
        backup.SPOOL_MOUNT,
        backup.KEYS_MOUNT,
    ]
    database = args.secrets.database
    hashed = fingerprint(
        [
            patroni.restart_relevant(args, peer_region(args)),
            guard.settings(args, peer_region(args), member_names(peer_region(args), args)),
            [database.superuser, database.replication, database.rewind, database.rest_api],
            # A renewed certificate is read again (runbook certificate-rotation); other names need what is told by them.
            sorted(alternative_names(database.server.certificate)),
        ]
    )
    container: Manifest = {
        "name": "postgres",
        "image": image,
        "imagePullPolicy": args.pull_policy,
        "command": ["python3", "-m", "patroni", f"{patroni.CONFIG_FOLDER}/patroni.yaml"],
        "env": _environment(),
        "ports": [
            {"name": "postgres", "containerPort": c.POSTGRES_PORT, "protocol": "TCP"},
            {"name": "patroni", "containerPort": c.PATRONI_PORT, "protocol": "TCP"},
        ],
        "volumeMounts": mounts,
        "resources": resources(args.platform.database.resources),
        "securityContext": container_security(),
        # A standby copies the whole primary before it starts: up to 30 minutes.
        "startupProbe": http_probe("/readiness", "patroni", period=1, failures=1800),
        "readinessProbe": http_probe("/readiness", "patroni", period=5, failures=3),
        "livenessProbe": http_probe("/liveness", "patroni", period=10, failures=6),
    }
    waiter: Manifest = {
        "name": "wait-for-upstream",
        "image": image,
        "imagePullPolicy": args.pull_policy,
        "command": ["/bin/sh", "-c", _WAIT_FOR_UPSTREAM],
        "env": [
            {"name": "HOME", "value": "/tmp"},
            secret_environment("PGPASSWORD", CREDENTIALS, "replication"),
        ],
        "volumeMounts": [mount for mount in mounts if mount["name"] in ("tmp", "data", "config", "tls")],
        "resources": resources(Resources(cpu="10m", memory="64Mi")),
        "securityContext": container_security(),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata(name, c.NAMESPACE_DATA, args.stack, args.region, component=patroni.POSTGRES),
        "spec": {
            "serviceName": HEADLESS,
            "replicas": args.platform.database.members,
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "RollingUpdate"},
            "selector": {"matchLabels": _labels()},
            "template": {
                "metadata": {
                    "labels": {**_labels(), c.LABEL_PART_OF: "vitalops", c.LABEL_REGION: args.region},
                    "annotations": {c.ANNOTATION_CONFIG_HASH: hashed},
                },
                "spec": {
                    "serviceAccountName": patroni.POSTGRES,
                    "securityContext": pod_security(c.UID_POSTGRES),
                    # A fast shutdown with its checkpoint.
                    "terminationGracePeriodSeconds": 60,
                    "topologySpreadConstraints": spread(patroni.POSTGRES),
                    "initContainers": [waiter],
                    "containers": [
                        container,
                        guard.container(args, image, _environment()),
                        backup.sidecar(args, CREDENTIALS),
                    ],
                    # For the guard, which ends the postmaster where Patroni does not.
                    "shareProcessNamespace": True,
                    "volumes": [
                        TMP_VOLUME,
                        {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
                        backup.SPOOL_VOLUME,
                        backup.KEYS_VOLUME,
                        {"name": "config", "configMap": {"name": CONFIG}},
                        # PostgreSQL refuses a key that others can read; root-owned and group-readable is allowed.
                        {"name": "tls", "secret": {"secretName": TLS, "defaultMode": 0o640}},
                    ],
                },
            },
            "volumeClaimTemplates": [
                {
                    "metadata": {"name": "data"},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "storageClassName": args.storage_class,
                        "resources": {"requests": {"storage": args.platform.database.storage}},
                    },
                }
            ],
        },
    }


def database_objects(args: RegionArgs) -> list[Manifest]:
    """Everything of the database but the StatefulSet itself."""
    made = [*access(args), *configuration(args), *services(args), *backup.flows(args)]
    made += [guard.service(args, _labels()), *guard.flows(args)]
    if args.platform.database.members > 1:
        budget = disruption_budget(patroni.POSTGRES, c.NAMESPACE_DATA, args.stack, args.region)
        made.append(budget)
    return made


class Database(pulumi.ComponentResource):
    """A region's PostgreSQL; `members` is ready when PostgreSQL is (as a primary, or replicating)."""

    def __init__(
        self,
        args: RegionArgs,
        namespaces: Mapping[str, Sequence[pulumi.Resource]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("vitalops:region:Database", "database", None, opts)
        before = namespaces[c.NAMESPACE_DATA]
        around: list[Any] = [
            declare(manifest, parent=self, depends_on=before) for manifest in database_objects(args)
        ]
        self.members = declare(stateful_set(args), parent=self, depends_on=[*before, *around])
        self.register_outputs({})
