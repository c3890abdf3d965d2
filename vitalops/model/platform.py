"""The platform as its owner declares it: frozen, typed, and free of behaviour that acts on anything.

Shape and single-field limits live here; rules that join several parts are in `rules.py`, reading the file in
`loader.py`.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from vitalops.model.base import CountryCode, DnsLabel, Frozen, MemoryQuantity, Port, Text
from vitalops.model.failover import Backups, DnsRecord, Failover, Operations, Replication
from vitalops.model.resources import Resources
from vitalops.model.slo import MetricName, Objective, Sli, Tier
from vitalops.model.telemetry import Alerting, PlannedWork, Telemetry


class CertificationScheme(StrEnum):
    """A certification or legal basis that a region can show."""

    HDS = "HDS"
    """Hébergeur de données de santé (France), referential v2; its scope is activities 1 to 6."""
    ISO_27001 = "ISO-27001"
    NLPD = "nLPD"
    """Swiss Federal Act on Data Protection of 2023 (FADP): an assessed basis, not a certificate."""
    GDPR = "GDPR"
    HIPAA = "HIPAA"


class Certification(Frozen):
    scheme: CertificationScheme
    scope: tuple[str, ...] = ()
    """For HDS the certified activities, "1" to "6"; free text otherwise."""
    certificate: Text
    """Number of the certificate or of the assessment report."""
    expires: date


class ClusterContext(Frozen):
    """A cluster that exists already: a context of the user's kubeconfig."""

    context: Text
    gateway_address: Text
    """Host or address at which the region's gateway is reached from the edge and from the paired region."""
    storage_class: Text = "standard"


def _kind_of_cluster(value: object) -> str:
    return "local" if isinstance(value, str) else "context"


Cluster = Annotated[
    Annotated[Literal["local"], Tag("local")] | Annotated[ClusterContext, Tag("context")],
    Discriminator(_kind_of_cluster),
]


class Region(Frozen):
    name: DnsLabel
    jurisdiction: CountryCode
    """Whose law holds there: ISO 3166-1 alpha-2."""
    certifications: tuple[Certification, ...]
    cluster: Cluster
    """`local`: made on this machine. Otherwise a cluster that exists already."""


class EdgeListener(Frozen):
    """Where clients reach a failover pair. Loopback only, unless the user says otherwise."""

    address: str = "127.0.0.1"
    port: Port

    @property
    def public_url(self) -> str:
        """The edge as its clients write it. Loopback is `localhost`, which its certificate names too."""
        host = "localhost" if self.address in ("127.0.0.1", "::1") else self.address
        return f"https://{host}:{self.port}"


class FailoverPair(Frozen):
    name: DnsLabel
    primary: DnsLabel
    standby: DnsLabel
    rto_seconds: Annotated[int, Field(gt=0)]
    rpo_seconds: Annotated[int, Field(ge=0)]
    replication: Replication = Replication.SYNCHRONOUS
    """As it is meant; `vitalops status` shows what it is."""
    failover: Failover = Failover()
    start_by_default: bool = True
    """Whether `vitalops regions start` and `up` take this pair when no region is named."""
    edge: EdgeListener
    dns: DnsRecord | None = None
    """Absent: clients are led by the edge alone."""


class Layer(StrEnum):
    """API-led layers: systems of record, processes over them, experiences for one audience."""

    SYSTEM = "system"
    PROCESS = "process"
    EXPERIENCE = "experience"


class DataClass(StrEnum):
    HEALTH = "health"
    PERSONAL = "personal"
    TECHNICAL = "technical"


class Replicas(Frozen):
    minimum: Annotated[int, Field(ge=1, le=100)] = 1
    maximum: Annotated[int, Field(ge=1, le=100)] = 1


class Service(Frozen):
    name: DnsLabel
    layer: Layer
    data_class: DataClass
    port: Port = 8080
    replicas: Replicas = Replicas()
    resources: Resources
    database: bool = True
    """Whether the service owns a database (and a role and migrations) in the region's PostgreSQL."""
    depends_on: tuple[DnsLabel, ...] = ()
    """Other services it calls: each becomes a named network flow."""
    uses_media: bool = False
    """Whether it calls the media server's API."""
    public: bool = True
    """Whether the gateway routes `/<name>/` to it."""
    pairs: tuple[DnsLabel, ...] | None = None
    """Failover pairs it is placed in; all where absent."""
    tier: DnsLabel
    """How important the service is: what is promised for it, and whether it may wake somebody."""
    objectives: dict[DnsLabel, Objective] = Field(default_factory=dict)
    """SLI -> share of good events, where the service differs from its tier or has an SLI of its own."""
    exports: tuple[MetricName, ...] = ()
    """Metrics that it exports besides those of the reference services; histograms without `_bucket`."""


class Database(Frozen):
    members: Annotated[int, Field(ge=1, le=9)] = 1
    """PostgreSQL members in each region."""
    storage: MemoryQuantity = "2Gi"
    resources: Resources


class Component(Frozen):
    replicas: Annotated[int, Field(ge=1, le=20)] = 1
    resources: Resources


class Images(Frozen):
    registry: str | None = None
    """Registry and path to push to, as `registry.example.org/vitalops`; absent: loaded into local regions."""


class Platform(Frozen):
    """All of platform.yaml. Names are the keys of the file's mappings, in the file's order."""

    name: DnsLabel
    regions: dict[DnsLabel, Region]
    pairs: dict[DnsLabel, FailoverPair]
    services: dict[DnsLabel, Service]
    database: Database
    gateway: Component
    media: Component
    images: Images = Images()
    slis: dict[DnsLabel, Sli] = Field(default_factory=dict)
    tiers: dict[DnsLabel, Tier]
    telemetry: Telemetry = Telemetry()
    alerting: Alerting = Alerting()
    planned_work: tuple[PlannedWork, ...] = ()
    backups: Backups = Backups()
    operations: Operations = Operations()
