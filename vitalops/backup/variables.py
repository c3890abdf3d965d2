"""What the pod's description and the programs in it agree on: environment variables, and where files are."""

from __future__ import annotations

from typing import Final

STANZA: Final = "VITALOPS_BACKUP_STANZA"
"""pgBackRest's name of the database: the region's."""
FULL_DAYS: Final = "VITALOPS_BACKUP_FULL_EVERY_DAYS"
INCREMENTAL_HOURS: Final = "VITALOPS_BACKUP_INCREMENTAL_EVERY_HOURS"
QUEUE: Final = "VITALOPS_BACKUP_QUEUE_BYTES"
"""WAL that waits to be archived, beyond which it is let go of."""
TARGET_KIND: Final = "VITALOPS_RESTORE_TYPE"
"""`name`, `time` or `lsn`: how TARGET is meant."""
TARGET: Final = "VITALOPS_RESTORE_TARGET"
TARGET_TIMELINE: Final = "VITALOPS_RESTORE_TIMELINE"

FOLDER: Final = "/etc/vitalops/backup"
CONFIG_FILE: Final = f"{FOLDER}/pgbackrest.conf"
CONFIG_VARIABLE: Final = "PGBACKREST_CONFIG"
SPOOL: Final = "/var/spool/pgbackrest"
DATA: Final = "/var/lib/postgresql/data/cluster"
SOCKETS: Final = "/run/postgresql"
BINARIES: Final = "/usr/lib/postgresql/17/bin"
