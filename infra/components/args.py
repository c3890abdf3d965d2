"""What a region's components are made from: plain, frozen values, gathered before any program runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from vitalops.model.platform import Platform, Service
from vitalops.model.selection import services_of

POD_LOGS: Final = "/var/log/pods"
"""Where a kubelet keeps them unless it is told otherwise."""


class Role(StrEnum):
    """A region's part in its failover pair, as it is now: after a failover the standby has become the primary."""

    PRIMARY = "primary"
    STANDBY = "standby"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate with its chain, and its private key, both PEM."""

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DatabaseSecrets:
    superuser: str = field(repr=False)
    replication: str = field(repr=False)
    rewind: str = field(repr=False)
    rest_api: str = field(repr=False)
    server: KeyPair
    services: Mapping[str, str] = field(repr=False)
    """Password of each service's role."""
    services_next: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """The other password that a service tries, of those whose password is being replaced."""


@dataclass(frozen=True, slots=True)
class BackupSecrets:
    """Of one region: its own repository in the other one, and the S3 server that it runs for the other one."""

    own: str = field(repr=False)
    """S3 key with which it reaches its own repository."""
    passphrase: str = field(repr=False)
    """With which its repository is encrypted. Without it every backup is lost: it is in the secret store alone."""
    held: str = field(repr=False)
    """S3 key of the paired region, whose backups are held here."""
    server: KeyPair


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies access tokens: its `kid` and its PEM."""

    kid: str
    pem: str


@dataclass(frozen=True, slots=True)
class RegionSecrets:
    """Everything secret that a region needs; never printed (no field shows in a repr)."""

    authority: str
    """The platform CA's certificate, PEM. Not secret."""
    database: DatabaseSecrets
    backup: BackupSecrets
    gateway: KeyPair
    token_keys: tuple[PublicKey, ...]
    """Public halves only."""
    jwks: str
    """The same keys as an RFC 7517 key set. Not secret."""
    service_files: Mapping[str, Mapping[str, str]] = field(repr=False)
    """Service -> file name -> content, mounted in /etc/vitalops/secrets."""
    media_key: str = field(repr=False)
    media_secret: str = field(repr=False)
    webhook_token: str = field(repr=False)
    """With which Alertmanager says who it is to the webhooks."""
    prober: str = field(repr=False)
    """Client secret of the prober at identity."""
    denied: Mapping[str, int] = field(default_factory=dict[str, int], repr=False)
    """Subjects whose access is revoked, and until when (seconds since 1970)."""
    grafana: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """File name -> content: the administrator's password, and the key Grafana encrypts with; where there is one."""


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """How Pulumi's provider reaches the region's cluster: paths and names, no credentials."""

    kubeconfig: str
    context: str | None


@dataclass(frozen=True, slots=True)
class RegionArgs:
    """One region's stack."""

    stack: str
    platform: Platform
    region: str
    pair: str
    role: Role
    cluster: ClusterAccess
    node_address: str
    """Where the region's node ports are reached from the edge, from browsers and from the paired region."""
    peer_address: str
    """The same, of the paired region."""
    peer_networks: tuple[str, ...]
    """CIDRs from which the paired region, the edge and browsers come."""
    public_url: str
    """The pair's edge, as clients write it: https://localhost:8443."""
    storage_class: str
    images: Mapping[str, str]
    """Image name -> full reference."""
    secrets: RegionSecrets
    pull_policy: str = "IfNotPresent"
    pod_logs: str = POD_LOGS
    """Folder of the nodes in which the kubelet keeps what pods print."""
    dashboards: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Grafana's dashboards, JSON by file name; where the platform has a Grafana."""

    @property
    def services(self) -> tuple[Service, ...]:
        """The services placed in this region's pair, in the platform's order."""
        return services_of(self.platform, self.pair)

    @property
    def issuer(self) -> str:
        """Issuer of access tokens, the same in both regions of the pair."""
        return f"{self.public_url}/identity"


@dataclass(frozen=True, slots=True)
class EdgeArgs:
    """One pair's edge stack: the desired edge, kept in both regions."""

    stack: str
    platform: Platform
    pair: str
    active_region: str
    clusters: Mapping[str, ClusterAccess]
    """Region -> access, the primary first."""
    addresses: Mapping[str, str]
    certificate: KeyPair
    authority: str
