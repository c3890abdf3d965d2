"""The lines of sight of a pair's witness, and how it is reached and known."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from tempfile import NamedTemporaryFile

from infra.components.args import KeyPair
from infra.components.kit import host_and_port
from infra.gateway.haproxy import REGION_HEALTH_PATH
from infra.operations.running import OperatedPlatform
from infra.program.inputs import gateway_endpoint, node_address
from infra.program.secrets import authority, certificate, split_addresses
from vitalops import conventions as c
from vitalops.detection.sights import Part, Place, Vantage
from vitalops.errors import UsageError, VitalopsError
from vitalops.fencing.report import GUARD_PATH
from vitalops.model.addresses import witness_of
from vitalops.model.failover import Witness
from vitalops.model.platform import FailoverPair, Platform
from vitalops.ports.traffic import TrafficDirector
from vitalops.secretstore import SecretStore
from vitalops.vantage.probe import HttpsProbe, Judge, Probe

READY_PATH = "/readyz"


def require_witness(platform: Platform, pair: FailoverPair) -> Witness:
    """Where the pair's witness listens. Raises UsageError where it has none."""
    found = witness_of(platform, pair)
    if found is None:
        raise UsageError(
            f"pair {pair.name} has no witness",
            hint=f"set pairs.{pair.name}.failover.witness to an address of a machine outside both regions",
        )
    return found


def witness_certificate(store: SecretStore, platform: Platform, pair: FailoverPair) -> KeyPair:
    """The witness's server certificate, from the platform's authority."""
    ip, dns = split_addresses((require_witness(platform, pair).address, "127.0.0.1"))
    return certificate(
        store,
        authority(store, platform),
        f"{pair.name}/certificates/witness",
        common_name="witness",
        dns=("localhost", *dns),
        ip=ip,
    )


def server_context(pair: KeyPair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # OpenSSL reads a chain from files alone.
    with NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(pair.certificate + pair.key)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def trust_of(store: SecretStore, platform: Platform) -> ssl.SSLContext:
    """TLS that accepts the platform's own authority alone."""
    return ssl.create_default_context(cadata=authority(store, platform).certificate_pem)


def lines_of_sight(running: OperatedPlatform, pair: FailoverPair) -> Sequence[Probe]:
    """Guard, gateway and API server of both regions. A cluster to which there is no way from here has no third line."""
    platform = running.platform
    trust = trust_of(running.secrets, platform)
    probes: list[Probe] = []
    for region in (pair.primary, pair.standby):
        guard = host_and_port(node_address(platform, region), c.NODE_PORT_GUARD)
        probes += [
            HttpsProbe(_own(Part.GUARD, region), f"https://{guard}{GUARD_PATH}", trust, reports=True),
            HttpsProbe(
                _own(Part.GATEWAY, region),
                f"https://{gateway_endpoint(platform, region)}{REGION_HEALTH_PATH}",
                trust,
            ),
        ]
        if (ready := _api_server(running, region)) is not None:
            probes.append(ready)
    return probes


def judges_of(running: OperatedPlatform, pair: FailoverPair) -> Sequence[Judge]:
    """The ways by which clients reach the pair, as far as they check its regions."""
    return [_Checks(director) for director in running.directors(pair)]


@dataclass(frozen=True, slots=True)
class _Checks:
    director: TrafficDirector

    @property
    def name(self) -> str:
        return self.director.name

    def sees(self) -> dict[str, bool]:
        return dict(self.director.sees())


def _own(part: Part, region: str) -> Vantage:
    return Vantage(Place.WITNESS, part, region)


def _api_server(running: OperatedPlatform, region: str) -> Probe | None:
    try:
        cluster = running.cluster(region)
        session = cluster.session()
    except VitalopsError:
        return None
    # Its own authority; no credentials: whether it lets the witness in makes no difference to whether it is there.
    trust = ssl.create_default_context(cafile=session.verify if isinstance(session.verify, str) else None)
    return HttpsProbe(_own(Part.API_SERVER, region), f"{cluster.base_url}{READY_PATH}", trust)
