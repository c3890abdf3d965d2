"""`python -m services.common.migrate NAME...`: bring the databases of services to their newest schema.

Waits for each database, runs under a lock so that several may start at once, and changes nothing on a
standby, which receives the primary's schema by replication. Exit status 0: done; 2: wrong call or
environment; 3: a database was not there in time or a migration failed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from services.common.db import wait_until_reachable
from services.common.definition import load_definition
from services.common.logs import configure_logging, get_logger
from services.common.schema import upgrade
from services.common.settings import DEFAULT_SECRETS_DIR, SettingsError, database_url

log = get_logger("services.migrate")

DEFAULT_WAIT_SECONDS = 120.0


def _is_standby(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql" and bool(
        connection.scalar(text("SELECT pg_is_in_recovery()"))
    )


def migrate(name: str, environ: Mapping[str, str]) -> None:
    """Migrate the database of one service.

    Raises LookupError, SettingsError, or the database's error.
    """
    definition = load_definition(name)
    template = environ.get("VITALOPS_DATABASE_URL", "")
    if not template:
        raise SettingsError("VITALOPS_DATABASE_URL is not set")
    secrets_dir = Path(environ.get("VITALOPS_SECRETS_DIR", DEFAULT_SECRETS_DIR))
    url = database_url(template, name, secrets_dir)
    arguments = (
        {"connect_timeout": 2, "application_name": "migrate"}
        if url.get_backend_name() == "postgresql"
        else {}
    )
    engine = create_engine(url, hide_parameters=True, connect_args=arguments)
    try:
        wait_until_reachable(
            engine, seconds=float(environ.get("VITALOPS_MIGRATE_SECONDS", DEFAULT_WAIT_SECONDS))
        )
        with engine.begin() as connection:
            if _is_standby(connection):
                log.info("standby: the primary's schema arrives by replication", database=name)
                return
            log.info("migrated", database=name, revision=upgrade(definition, connection))
    finally:
        engine.dispose()


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Migrate every named service, in order; stops at the first failure."""
    if not arguments:
        print("usage: python -m services.common.migrate NAME...", file=sys.stderr)
        return 2
    configure_logging("migrate", environ.get("VITALOPS_REGION", "local"))
    for name in arguments:
        try:
            migrate(name, environ)
        except (LookupError, SettingsError) as error:
            print(f"migrate: {error}", file=sys.stderr)
            return 2
        except SQLAlchemyError as error:
            log.error("migration failed", database=name, exc_info=error)
            print(f"migrate: the database of {name} failed: {type(error).__name__}", file=sys.stderr)
            return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
