"""How a failover pair replicates, is watched, and is failed over; and how clients are led to its active region."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from vitalops.model.base import DnsLabel, Frozen, MemoryQuantity, Port, Text
from vitalops.model.resources import Resources

HostName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_]([A-Za-z0-9_.:-]{0,252}[A-Za-z0-9])?\.?$"),
    Field(title="a host name or an address"),
]


class Replication(StrEnum):
    """`synchronous`: an acknowledged write is in both regions. `asynchronous`: it may be lost with its region."""

    SYNCHRONOUS = "synchronous"
    ASYNCHRONOUS = "asynchronous"


class FailoverMode(StrEnum):
    """Who decides that a lost region is failed over: the witness itself, or a person whom it asks."""

    AUTOMATIC = "automatic"
    APPROVAL = "approval"


class Witness(Frozen):
    """The third place from which a pair is watched, outside both of its regions."""

    address: HostName
    """Where the regions' guards reach it."""
    port: Port = 7443


class Failover(Frozen):
    mode: FailoverMode = FailoverMode.APPROVAL
    detection_seconds: Annotated[float, Field(ge=1, le=300)] = 4.0
    """A region counts as lost when, for so long, nobody outside it has reached anything in it."""
    drain_seconds: Annotated[int, Field(ge=0, le=14400)] = 1800
    """Running calls may go on for so long where they are after a planned switchover."""
    witness: Witness | None = None
    """Absent: the address of this machine towards its local regions; none where the regions are elsewhere."""


class DnsRecord(Frozen):
    """A name that leads to the pair's active region, changed by RFC 2136 updates signed with a TSIG key (RFC 8945).

    The key's secret is in the secret store, under `<pair>/dns/<key>`.
    """

    server: HostName
    port: Port = 53
    zone: HostName
    name: HostName
    """Fully qualified, within the zone."""
    ttl_seconds: Annotated[int, Field(ge=0, le=3600)] = 5
    key: DnsLabel
    algorithm: Literal["hmac-sha256", "hmac-sha512"] = "hmac-sha256"


class Backups(Frozen):
    """pgBackRest, encrypted, into S3-compatible storage in the pair's other region."""

    storage: MemoryQuantity = "4Gi"
    """Of the bundled S3 server's volume, in each region."""
    resources: Resources = Resources(cpu="20m", memory="128Mi")
    """Of the bundled S3 server."""
    full_every_days: Annotated[int, Field(ge=1, le=90)] = 7
    incremental_every_hours: Annotated[int, Field(ge=1, le=168)] = 24
    keep_full: Annotated[int, Field(ge=1, le=400)] = 4
    """Full backups that are kept, with the WAL to reach any moment since the oldest."""
    archive_timeout_seconds: Annotated[int, Field(ge=10, le=3600)] = 60
    """A WAL segment is archived at least this often while there are writes."""


class Operations(Frozen):
    """Rules that every runbook obeys."""

    approval_expires_minutes: Annotated[int, Field(ge=1, le=1440)] = 30
    """What was asked and not answered by then is not done."""
    runs_per_hour: Annotated[int, Field(ge=1, le=1000)] = 6
    """Runs of one runbook on one target that alerts may start; a person is not limited."""
    regions_at_once: Annotated[int, Field(ge=1, le=100)] = 1
    """Regions of one pair that mutating runs may touch at the same time, those that join both left out."""
    rehearsal_max_age_days: Annotated[int, Field(ge=1, le=366)] = 90
    """A runbook not proven for longer is a finding (DORA art. 11(6) asks for a yearly test)."""
    clock_skew_seconds: Annotated[float, Field(gt=0, le=60)] = 2.0
    """Clocks that differ by more refuse operations that depend on leases."""
    owners: tuple[Text, ...] = ()
    """Who may approve; anybody but the requester where empty."""
