"""The Job that gives each service its role and database, and brings every schema to its head.

It runs in the region whose database is the primary; the other region receives the result by replication. Both steps can
be repeated: roles and databases are created where they are missing, migrations know where they stand. Jobs cannot be
changed, so the name carries a hash of image and content, and a new one replaces the old.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pulumi

from infra.components import patroni
from infra.components.args import RegionArgs
from infra.components.database import CREDENTIALS, TLS
from infra.components.declare import declare
from infra.components.kit import (
    TMP_MOUNT,
    TMP_VOLUME,
    Manifest,
    container_security,
    host,
    metadata,
    pod_security,
    resources,
    secret,
    secret_environment,
    service_account,
)
from infra.components.policies import MIGRATIONS
from infra.engines.objects import fingerprint
from vitalops import conventions as c
from vitalops.model.resources import Resources

PASSWORDS: Final = "database-passwords"
SECRETS_FOLDER: Final = "/etc/vitalops/secrets"
AUTHORITY_FOLDER: Final = "/etc/vitalops/ca"

# psql reads the passwords into variables, so that they are on no command line. \gexec runs what the query gives.
_SQL: Final = r"""
\set password `cat {folder}/{service}`
SELECT 'CREATE ROLE "{service}" LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{service}') \gexec
ALTER ROLE "{service}" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
SELECT 'CREATE DATABASE "{service}" OWNER "{service}"'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{service}') \gexec
REVOKE ALL ON DATABASE "{service}" FROM PUBLIC;
"""


def setup_sql(services: Sequence[str], folder: str = SECRETS_FOLDER) -> str:
    """Idempotent SQL, as psql reads it: a role, its password and a database of its own for each service."""
    # The standby region's Patroni asks the primary, as the user that rewinds, whether their histories have parted.
    head = (
        "\\set ON_ERROR_STOP on\nREVOKE ALL ON DATABASE postgres FROM PUBLIC;\n"
        f"GRANT CONNECT ON DATABASE postgres TO {patroni.USER_REWIND};\n"
    )
    return head + "".join(_SQL.format(service=service, folder=folder) for service in services)


def database_url(service: str) -> str:
    """A service's URL: the primary first, the region's standby where there is no primary. No password in it.

    `<service>` stays literal where `service` is that: the migration command fills it in for each of its services.
    """
    hosts = ",".join(
        f"{name}.{c.NAMESPACE_DATA}" for name in (c.POSTGRES_PRIMARY_SERVICE, c.POSTGRES_STANDBY_SERVICE)
    )
    ports = ",".join([str(c.POSTGRES_PORT)] * 2)
    return (
        f"postgresql+psycopg://{service}@/{service}?host={hosts}&port={ports}"
        f"&sslmode=verify-full&sslrootcert={AUTHORITY_FOLDER}/ca.crt&target_session_attrs=any"
    )


def with_database(args: RegionArgs) -> list[str]:
    return [service.name for service in args.services if service.database]


def job_secret(args: RegionArgs) -> Manifest:
    names = with_database(args)
    values = {name: args.secrets.database.services[name] for name in names}
    return secret(PASSWORDS, c.NAMESPACE_DATA, args.stack, args.region, values, MIGRATIONS)


def job(args: RegionArgs) -> Manifest:
    names = with_database(args)
    setup: Manifest = {
        "name": "roles-and-databases",
        "image": args.images["database"],
        "imagePullPolicy": args.pull_policy,
        "command": ["/bin/sh", "-c", 'printf %s "$SQL" | psql --no-psqlrc --quiet'],
        "env": [
            {"name": "SQL", "value": setup_sql(names)},
            {"name": "PGHOST", "value": host(c.POSTGRES_PRIMARY_SERVICE, c.NAMESPACE_DATA)},
            {"name": "PGUSER", "value": patroni.USER_SUPERUSER},
            {"name": "PGDATABASE", "value": "postgres"},
            {"name": "PGSSLMODE", "value": "verify-full"},
            {"name": "PGSSLROOTCERT", "value": f"{AUTHORITY_FOLDER}/ca.crt"},
            {"name": "PGCONNECT_TIMEOUT", "value": "5"},
            {"name": "HOME", "value": "/tmp"},
            secret_environment("PGPASSWORD", CREDENTIALS, "superuser"),
        ],
        "volumeMounts": [
            TMP_MOUNT,
            {"name": "passwords", "mountPath": SECRETS_FOLDER, "readOnly": True},
            {"name": "authority", "mountPath": AUTHORITY_FOLDER, "readOnly": True},
        ],
        "resources": resources(Resources(cpu="20m", memory="64Mi")),
        "securityContext": container_security(),
    }
    migrate: Manifest = {
        "name": "migrate",
        "image": args.images["services"],
        "imagePullPolicy": args.pull_policy,
        "command": ["python3", "-m", "services.common.migrate", *names],
        "env": [
            {"name": "VITALOPS_REGION", "value": args.region},
            {"name": "VITALOPS_ISSUER", "value": args.issuer},
            {"name": "VITALOPS_SECRETS_DIR", "value": SECRETS_FOLDER},
            {"name": "VITALOPS_DATABASE_URL", "value": database_url("<service>")},
            {"name": "HOME", "value": "/tmp"},
        ],
        "volumeMounts": [
            TMP_MOUNT,
            {"name": "passwords-by-service", "mountPath": SECRETS_FOLDER, "readOnly": True},
            {"name": "authority", "mountPath": AUTHORITY_FOLDER, "readOnly": True},
        ],
        "resources": resources(Resources(cpu="100m", memory="320Mi")),
        "securityContext": container_security(),
    }
    pod: Manifest = {
        "restartPolicy": "Never",
        "serviceAccountName": MIGRATIONS,
        "automountServiceAccountToken": False,
        "securityContext": pod_security(c.UID_SERVICES),
        "terminationGracePeriodSeconds": 30,
        "initContainers": [setup],
        "containers": [migrate],
        "volumes": [
            TMP_VOLUME,
            {"name": "passwords", "secret": {"secretName": PASSWORDS}},
            {
                "name": "passwords-by-service",
                "secret": {
                    "secretName": PASSWORDS,
                    "items": [{"key": name, "path": f"{name}/database-password"} for name in names],
                },
            },
            {
                "name": "authority",
                "secret": {"secretName": TLS, "items": [{"key": "ca.crt", "path": "ca.crt"}]},
            },
        ],
    }
    passwords = [args.secrets.database.services[name] for name in names]
    suffix = fingerprint([pod, passwords])[:10]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(
            f"{MIGRATIONS}-{suffix}", c.NAMESPACE_DATA, args.stack, args.region, component=MIGRATIONS
        ),
        "spec": {
            "backoffLimit": 6,
            "activeDeadlineSeconds": 900,
            # Status 2 is a wrong call or environment: trying again would not help.
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "FailJob",
                        "onExitCodes": {"containerName": "migrate", "operator": "In", "values": [2]},
                    }
                ]
            },
            "template": {
                "metadata": {"labels": {c.LABEL_NAME: MIGRATIONS, c.LABEL_PART_OF: "vitalops"}},
                "spec": pod,
            },
        },
    }


class Migrations(pulumi.ComponentResource):
    """Roles, databases and schemas of the region's services; `done` is the finished Job."""

    def __init__(
        self,
        args: RegionArgs,
        database: pulumi.Resource,
        namespaces: Mapping[str, Sequence[pulumi.Resource]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("vitalops:region:Migrations", MIGRATIONS, None, opts)
        before = namespaces[c.NAMESPACE_DATA]
        account = service_account(MIGRATIONS, c.NAMESPACE_DATA, args.stack, args.region)
        around = [
            declare(manifest, parent=self, depends_on=before) for manifest in (account, job_secret(args))
        ]
        self.done = declare(
            job(args),
            parent=self,
            depends_on=[*around, database],
            logical_name=f"{c.NAMESPACE_DATA}/{MIGRATIONS}",
        )
        self.register_outputs({})
