"""Alerts on what protects the data: backups, the archive of WAL, and room on the volumes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vitalops.conventions import (
    ALERT_ARCHIVE_LAG,
    ALERT_BACKUP_STALE,
    ALERT_DISK_FILLING,
    METRIC_REGION,
    METRIC_RUNBOOK,
    METRIC_SEVERITY,
    SEVERITY_TICKET,
)
from vitalops.model.failover import Backups
from vitalops.slo.emit import alert

FIRST = 1800
"""Seconds in which a database that has just become the primary must have made its first backup."""
STALE_FOR = 300
LATE = 1.5
"""Intervals of the schedule after which a backup is missed, and an hour for the backup itself."""
ARCHIVE_INTERVALS = 5
ARCHIVE_LEAST = 180
ARCHIVE_FOR = 60
"""Segments that wait for five times the interval in which one is archived, and three minutes at least, wait for
nothing good."""
LEFT = 0.1
"""Part of a volume that is free, below which somebody is told."""
DISK_FOR = 300
SOON = 86_400
SOON_LEFT = 0.4
"""Earlier, where the last six hours say that it will be full within a day."""


def stale_after(backups: Backups) -> int:
    """Age of the newest backup, in seconds, that somebody is told of."""
    return round(backups.incremental_every_hours * 3600 * LATE) + 3600


def archive_limit(backups: Backups) -> int:
    """Seconds that a WAL segment may wait to be archived."""
    return max(backups.archive_timeout_seconds * ARCHIVE_INTERVALS, ARCHIVE_LEAST)


def protection(labels: Mapping[str, str], backups: Backups) -> Iterator[str]:
    """The rules of one region. Planned work mutes none of them: it is what backups are for."""
    region = labels[METRIC_REGION]
    ended = "max(vitalops_backup_last_ended_timestamp_seconds)"
    yield alert(
        ALERT_BACKUP_STALE,
        f"(time() - {ended} > {stale_after(backups)})\n"
        f"or ((time() - max(vitalops_backup_watching_since_timestamp_seconds) > {FIRST})\n"
        f"  unless on () {ended})",
        {METRIC_SEVERITY: SEVERITY_TICKET, **labels, METRIC_RUNBOOK: "backup-now"},
        {
            "summary": f"The database of {region} has no recent backup",
            "description": "The newest one ended, or the database became the primary without one, "
            "{{ $value | humanizeDuration }} ago.",
            METRIC_RUNBOOK: "backup-now",
        },
        wait=STALE_FOR,
    )
    yield alert(
        ALERT_ARCHIVE_LAG,
        f"max(vitalops_archive_behind_seconds) > {archive_limit(backups)}",
        {METRIC_SEVERITY: SEVERITY_TICKET, **labels, METRIC_RUNBOOK: "disk-pressure"},
        {
            "summary": f"WAL of {region} does not reach the other region's backups",
            "description": "The oldest segment has been waiting for {{ $value | humanizeDuration }}: what was written "
            "since could not be restored, and it fills the database's disk.",
            METRIC_RUNBOOK: "disk-pressure",
        },
        wait=ARCHIVE_FOR,
    )
    by = "min by (namespace, persistentvolumeclaim)"
    ratio = f"{by} (kubelet_volume_stats_available_bytes / kubelet_volume_stats_capacity_bytes)"
    # A trend needs its whole time: a volume that was made an hour ago always looks as if it filled.
    growing = (
        f"{by} (predict_linear(kubelet_volume_stats_available_bytes[6h], {SOON})) < 0\n"
        f"  and {by} (kubelet_volume_stats_available_bytes offset 6h)"
    )
    yield alert(
        ALERT_DISK_FILLING,
        f"{ratio} < {LEFT}\nor ({ratio} < {SOON_LEFT}\n  and {growing})",
        {METRIC_SEVERITY: SEVERITY_TICKET, **labels, METRIC_RUNBOOK: "disk-pressure"},
        {
            "summary": "{{ $labels.namespace }}/{{ $labels.persistentvolumeclaim }} in "
            f"{region} is nearly full, or will be within a day",
            "description": "{{ $value | humanizePercentage }} of it is free.",
            METRIC_RUNBOOK: "disk-pressure",
        },
        wait=DISK_FOR,
    )
