"""Backups of a region's database: pgBackRest's configuration, its keys, and the container that keeps the schedule.

The repository is in the S3 server of the pair's other region, in a bucket and a stanza that carry this region's name.
So each region's history is its own, whichever of the two is the primary: after a failover the new primary archives
into its own stanza, and after a failback the old one goes on in the one it has, on a newer timeline.
"""

from __future__ import annotations

from typing import Final

from infra.components import patroni
from infra.components.archiving import SIDECAR
from infra.components.args import RegionArgs
from infra.components.kit import (
    TMP_MOUNT,
    Manifest,
    container_security,
    http_probe,
    resources,
    secret,
    secret_environment,
)
from infra.components.namespaces import mebibytes
from infra.components.policies import networks, policy, ports
from vitalops import conventions as c
from vitalops.backup import variables as v

NAME: Final = "backup"
SECRET: Final = "backup"
REPOSITORY_PATH: Final = "/pgbackrest"
QUEUE_SHARE: Final = 4
"""WAL that cannot be archived may take one part in so many of the database's volume, and is let go of beyond that:
a backup that is missing some WAL is told of and repaired by the next one, a full volume stops every write."""
SPOOL_VOLUME: Final[Manifest] = {"name": "spool", "emptyDir": {"sizeLimit": "64Mi"}}
SPOOL_MOUNT: Final[Manifest] = {"name": "spool", "mountPath": v.SPOOL}
KEYS_VOLUME: Final[Manifest] = {"name": NAME, "secret": {"secretName": SECRET, "defaultMode": 0o400}}
KEYS_MOUNT: Final[Manifest] = {"name": NAME, "mountPath": v.FOLDER, "readOnly": True}


def access_key(source: str) -> str:
    """Name under which a region's S3 key is known. Not secret."""
    return f"backup-{source}"


def queue_mebibytes(args: RegionArgs) -> int:
    """Most WAL that waits to be archived."""
    return max(mebibytes(args.platform.database.storage) // QUEUE_SHARE, 64)


def repository(args: RegionArgs) -> str:
    """The text of pgbackrest.conf. It holds keys: only ever in a Secret."""
    keys, rule = args.secrets.backup, args.platform.backups
    pair = args.platform.pairs[args.pair]
    holder = pair.standby if args.region == pair.primary else pair.primary
    everywhere = {
        "repo1-type": "s3",
        "repo1-path": REPOSITORY_PATH,
        "repo1-s3-bucket": args.region,
        "repo1-s3-endpoint": args.peer_address,
        "repo1-s3-region": holder,
        "repo1-s3-uri-style": "path",
        "repo1-s3-key": access_key(args.region),
        "repo1-s3-key-secret": keys.own,
        "repo1-storage-port": c.NODE_PORT_OBJECTS,
        "repo1-storage-verify-tls": "y",
        "repo1-storage-ca-file": f"{v.FOLDER}/ca.crt",
        "repo1-cipher-type": "aes-256-cbc",
        "repo1-cipher-pass": keys.passphrase,
        # A cluster is thousands of small files: one object each would take minutes.
        "repo1-bundle": "y",
        "repo1-block": "y",
        "repo1-retention-full": rule.keep_full,
        "compress-type": "zst",
        "compress-level": 3,
        "start-fast": "y",
        "archive-async": "y",
        "archive-push-queue-max": f"{queue_mebibytes(args)}MiB",
        "spool-path": v.SPOOL,
        "lock-path": f"{v.SPOOL}/lock",
        "log-level-file": "off",
        "log-level-console": "warn",
        "log-level-stderr": "warn",
        # How long an S3 server that does not answer is waited for. PostgreSQL tries again by itself.
        "io-timeout": 20,
        "db-timeout": 600,
        "protocol-timeout": 630,
    }
    database = {
        "pg1-path": v.DATA,
        "pg1-socket-path": v.SOCKETS,
        "pg1-user": patroni.USER_SUPERUSER,
    }
    lines = ["[global]", *(f"{key}={value}" for key, value in everywhere.items())]
    lines += ["", f"[{args.region}]", *(f"{key}={value}" for key, value in database.items())]
    return "\n".join(lines) + "\n"


def keys(args: RegionArgs) -> Manifest:
    """The Secret that the pod mounts."""
    return secret(
        SECRET,
        c.NAMESPACE_DATA,
        args.stack,
        args.region,
        {"pgbackrest.conf": repository(args), "ca.crt": args.secrets.authority},
        patroni.POSTGRES,
    )


def sidecar(args: RegionArgs, credentials: str) -> Manifest:
    """The container that makes the stanza, keeps the schedule and shows metrics. `credentials`: the Secret with the
    superuser's password."""
    rule = args.platform.backups
    variables = {
        v.STANZA: args.region,
        v.FULL_DAYS: str(rule.full_every_days),
        v.INCREMENTAL_HOURS: str(rule.incremental_every_hours),
        v.QUEUE: str(queue_mebibytes(args) << 20),
        v.CONFIG_VARIABLE: v.CONFIG_FILE,
        "PGUSER": patroni.USER_SUPERUSER,
        "PGHOST": v.SOCKETS,
        "HOME": "/tmp",
    }
    return {
        "name": NAME,
        "image": args.images["database"],
        "imagePullPolicy": args.pull_policy,
        "command": ["python3", "-m", "vitalops.backup", "run"],
        "env": [
            *({"name": name, "value": value} for name, value in variables.items()),
            secret_environment("PGPASSWORD", credentials, "superuser"),
        ],
        "ports": [{"name": "backup", "containerPort": c.BACKUP_METRICS_PORT, "protocol": "TCP"}],
        "volumeMounts": [
            TMP_MOUNT,
            {"name": "data", "mountPath": patroni.DATA_FOLDER},
            {"name": "run", "mountPath": patroni.SOCKET_FOLDER},
            SPOOL_MOUNT,
            KEYS_MOUNT,
        ],
        "resources": resources(SIDECAR),
        "securityContext": container_security(),
        # They say that the process lives, and no more: a backup that fails must not take the database out of service.
        "startupProbe": http_probe("/metrics", "backup", period=1, failures=60),
        "readinessProbe": http_probe("/metrics", "backup", period=15, failures=8),
        "livenessProbe": http_probe("/metrics", "backup", period=30, failures=4),
    }


def flows(args: RegionArgs) -> list[Manifest]:
    """PostgreSQL's pods to the other region's S3 server."""
    return [
        policy(
            "postgres-to-backups",
            c.NAMESPACE_DATA,
            args,
            {c.LABEL_NAME: patroni.POSTGRES},
            egress=[{"to": networks(args.peer_networks), "ports": ports(c.NODE_PORT_OBJECTS)}],
        )
    ]
