"""What PostgreSQL must be told so that its WAL is archived, and what the container beside it asks for."""

from __future__ import annotations

from typing import Any, Final

from infra.components.args import RegionArgs
from vitalops.backup import variables as v
from vitalops.model.resources import Resources

SIDECAR: Final = Resources(cpu="25m", memory="192Mi")
"""pgBackRest compresses and encrypts one file at a time; the rest waits."""


def parameters(args: RegionArgs) -> dict[str, Any]:
    """PostgreSQL's settings. Only a primary archives; a standby's WAL is the primary's already."""
    return {
        "archive_mode": "on",
        "archive_command": f"pgbackrest --config={v.CONFIG_FILE} --stanza={args.region} archive-push %p",
        "archive_timeout": f"{args.platform.backups.archive_timeout_seconds}s",
    }
