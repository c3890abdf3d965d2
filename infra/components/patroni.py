"""Patroni's configuration, compiled from the platform.

What the cluster's own state decides (who leads, what a standby region follows) is in the `bootstrap` part: it is read
when a cluster is made for the first time, and changed afterwards only through Patroni's REST API, so that a later `up`
never undoes a failover.
"""

from __future__ import annotations

from typing import Any, Final

import yaml

from infra.components.archiving import parameters as archiving
from infra.components.args import RegionArgs, Role
from infra.components.namespaces import mebibytes
from vitalops import conventions as c

DATA_FOLDER: Final = "/var/lib/postgresql/data"
TLS_FOLDER: Final = "/etc/vitalops/postgres-tls"
SOCKET_FOLDER: Final = "/run/postgresql"
CONFIG_FOLDER: Final = "/etc/vitalops/patroni"
POSTGRES_BINARIES: Final = "/usr/lib/postgresql/17/bin"

POSTGRES: Final = "postgres"
ROLE_LABEL: Final = "vitalops.dev/role"
ROLE_PRIMARY: Final = "primary"
ROLE_STANDBY_LEADER: Final = "standby-leader"
ROLE_REPLICA: Final = "replica"
CLUSTER_LABEL: Final = "vitalops.dev/database"

USER_SUPERUSER: Final = "postgres"
USER_REPLICATION: Final = "replicator"
USER_REWIND: Final = "rewinder"
USER_REST_API: Final = "patroni"

# A primary that has crashed is started as a standby and promoted, never simply started: every way to take writes leads
# through `pre_promote`.
REQUIRED: Final = {"primary_start_timeout": 0}
"""What the guard keeps in the dynamic configuration of a cluster that was made before it was asked for."""
PRE_PROMOTE: Final = f"python3 -S /app/vitalops/guard/permit.py {c.GUARD_LOCAL_PORT}"

_MAXIMUM_CONNECTIONS: Final = 120


def replication_slot(region: str) -> str:
    """The physical slot that a standby region reads from. Slot names allow no hyphens."""
    return f"region_{region.replace('-', '_')}"


def upstream(args: RegionArgs) -> dict[str, Any]:
    """The `standby_cluster` section with which a region follows its peer."""
    return {
        "host": args.peer_address,
        "port": c.NODE_PORT_POSTGRES,
        "primary_slot_name": replication_slot(args.region),
        "create_replica_methods": ["basebackup"],
    }


def configuration(args: RegionArgs, peer_region: str) -> dict[str, Any]:
    """Patroni's YAML file as data. Passwords come from the environment, addresses of the pod too."""
    memory = mebibytes(args.platform.database.resources.memory)
    dynamic: dict[str, Any] = {
        # ttl >= loop_wait + 2 * retry_timeout is Patroni's own rule.
        "ttl": 20,
        "loop_wait": 5,
        "retry_timeout": 5,
        "maximum_lag_on_failover": 16 * 1024 * 1024,
        **REQUIRED,
        # A primary that cannot reach the Kubernetes API stays primary while every member of its cluster agrees.
        "failsafe_mode": True,
        "slots": {replication_slot(peer_region): {"type": "physical"}},
        "postgresql": {
            "use_pg_rewind": True,
            "use_slots": True,
            "parameters": {
                "max_connections": _MAXIMUM_CONNECTIONS,
                "max_wal_senders": 10,
                "max_replication_slots": 10,
                "max_worker_processes": 8,
                "wal_level": "replica",
                "wal_log_hints": "on",
                "hot_standby": "on",
                "wal_keep_size": "128MB",
            },
        },
    }
    if args.role is Role.STANDBY:
        dynamic["standby_cluster"] = upstream(args)
    tls = {
        "sslmode": "verify-full",
        "sslrootcert": f"{TLS_FOLDER}/ca.crt",
    }
    return {
        "scope": c.DATABASE_CLUSTER,
        "kubernetes": {
            "labels": {c.LABEL_NAME: POSTGRES},
            "scope_label": CLUSTER_LABEL,
            "role_label": ROLE_LABEL,
            "leader_label_value": ROLE_PRIMARY,
            "standby_leader_label_value": ROLE_STANDBY_LEADER,
            "follower_label_value": ROLE_REPLICA,
            "use_endpoints": False,
        },
        "restapi": {"listen": f"0.0.0.0:{c.PATRONI_PORT}"},
        "bootstrap": {
            "dcs": dynamic,
            "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums"],
        },
        "postgresql": {
            "listen": f"*:{c.POSTGRES_PORT}",
            "data_dir": f"{DATA_FOLDER}/cluster",
            "bin_dir": POSTGRES_BINARIES,
            "pgpass": "/tmp/pgpass",
            # Nobody is promoted without the guard's leave.
            "pre_promote": PRE_PROMOTE,
            # By default a copy waits for a spread checkpoint: minutes without a standby, for no gain.
            "basebackup": [{"checkpoint": "fast"}],
            "use_unix_socket": True,
            "use_unix_socket_repl": True,
            "authentication": {
                "superuser": {"username": USER_SUPERUSER, **tls},
                "replication": {"username": USER_REPLICATION, **tls},
                "rewind": {"username": USER_REWIND, **tls},
            },
            "parameters": {
                "unix_socket_directories": SOCKET_FOLDER,
                "password_encryption": "scram-sha-256",
                "ssl": "on",
                "ssl_cert_file": f"{TLS_FOLDER}/tls.crt",
                "ssl_key_file": f"{TLS_FOLDER}/tls.key",
                "ssl_min_protocol_version": "TLSv1.3",
                "shared_buffers": f"{max(memory // 4, 64)}MB",
                "effective_cache_size": f"{max(memory // 2, 128)}MB",
                "work_mem": "4MB",
                "maintenance_work_mem": "48MB",
                "max_wal_size": "512MB",
                # A standby that is away for long is rebuilt rather than allowed to fill the primary's disk.
                "max_slot_wal_keep_size": "768MB",
                "checkpoint_timeout": "5min",
                # A shutdown waits so long for a standby that is out of reach; a standby looks anew as often.
                "wal_sender_timeout": "8s",
                "wal_receiver_timeout": "8s",
                "wal_receiver_status_interval": "1s",
                "wal_retrieve_retry_interval": "500ms",
                **archiving(args),
                "log_destination": "stderr",
                "logging_collector": "off",
                "log_line_prefix": "%m [%p] %q%u@%d ",
                # Statements may hold patient data: neither they nor their parameters are logged.
                "log_statement": "none",
                "log_min_error_statement": "panic",
                # Nor the details of errors: that of a duplicate key quotes the key, which may be an address.
                "log_error_verbosity": "terse",
                "log_min_duration_statement": -1,
                "log_parameter_max_length": 0,
                "log_parameter_max_length_on_error": 0,
                "log_connections": "off",
                "log_checkpoints": "off",
            },
            "pg_hba": [
                "local all all scram-sha-256",
                "local replication all scram-sha-256",
                f"hostssl replication {USER_REPLICATION} all scram-sha-256",
                f"hostssl all {USER_REWIND} all scram-sha-256",
                "hostssl all all all scram-sha-256",
                "hostnossl all all all reject",
            ],
        },
        "tags": {"nofailover": False, "noloadbalance": False, "clonefrom": True, "nosync": False},
    }


def compiled(args: RegionArgs, peer_region: str) -> str:
    """The file's text."""
    return yaml.safe_dump(configuration(args, peer_region), sort_keys=False)


def restart_relevant(args: RegionArgs, peer_region: str) -> dict[str, Any]:
    """What a running member must be restarted for: everything but the bootstrap part."""
    return {key: value for key, value in configuration(args, peer_region).items() if key != "bootstrap"}
