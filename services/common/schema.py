"""Migrations: one history of Alembic versions a service, one environment for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from services.common.definition import ServiceDefinition
from services.common.tables import COMMON

SchemaState = Literal["head", "ahead", "behind", "absent"]
_ENVIRONMENT = Path(__file__).parent / "alembic"
# One number for every service: each has a database of its own.
_MIGRATION_LOCK = 0x7669_7461_6C6F_7073


def alembic_config(definition: ServiceDefinition, connection: Connection | None = None) -> Config:
    """Alembic's configuration for one service, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(_ENVIRONMENT))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", str(definition.migrations))
    config.attributes["metadata"] = [definition.metadata, COMMON]
    config.attributes["connection"] = connection
    return config


def head_revision(definition: ServiceDefinition) -> str:
    """The newest revision of a service; raises when the history forks."""
    head = ScriptDirectory.from_config(alembic_config(definition)).get_current_head()
    assert head is not None, f"{definition.name} has no migrations"
    return head


def known_revisions(definition: ServiceDefinition) -> frozenset[str]:
    """Every revision this code knows."""
    script = ScriptDirectory.from_config(alembic_config(definition))
    return frozenset(revision.revision for revision in script.walk_revisions())


def database_revision(connection: Connection) -> str | None:
    """The revision a database is at, or None when it has never been migrated."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(text("SELECT version_num FROM alembic_version"))


def schema_state(revision: str | None, head: str, known: frozenset[str]) -> SchemaState:
    """How a database stands to this code.

    A revision this code does not know was made by a newer release during a rollout: that is `ahead`, and
    fine, since migrations only add what the previous release can live with.
    """
    if revision is None:
        return "absent"
    if revision == head:
        return "head"
    return "behind" if revision in known else "ahead"


def upgrade(definition: ServiceDefinition, connection: Connection) -> str:
    """Bring a database to the head under a lock, in the caller's transaction; returns its revision."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
    revision = database_revision(connection)
    if schema_state(revision, head_revision(definition), known_revisions(definition)) == "ahead":
        assert revision is not None
        return revision
    command.upgrade(alembic_config(definition, connection), "head")
    return head_revision(definition)
