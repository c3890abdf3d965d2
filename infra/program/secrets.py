"""Secrets and certificates of a pair: made once, kept in the secret store, the same in both regions.

A standby region must accept what the primary issued (passwords are replicated, tokens outlive a failover), so nothing
here belongs to one region alone; only the keys of backups are each region's own.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from infra.components.args import BackupSecrets, DatabaseSecrets, KeyPair, PublicKey, RegionSecrets
from infra.components.database import server_names
from infra.components.objects import server_names as objects_names
from infra.components.telemetry.grafana import FILES as GRAFANA_FILES
from infra.gateway.edge import GATEWAY_NAME
from infra.gateway.haproxy import EDGE_COMMON_NAME
from vitalops.conventions import OPERATOR_CLIENT, OPERATOR_SCOPES, PROBER_CLIENT, PROBER_SCOPES, SECRETS_NEXT
from vitalops.model.platform import Platform, Service
from vitalops.pki import (
    CertificateAuthority,
    alternative_names,
    needs_renewal,
    new_private_key,
    public_key_of,
)
from vitalops.revocation import denied
from vitalops.secretstore import SecretStore

AUTHORITY: Final = "authority"
_PASSWORD_BYTES: Final = 24


def password() -> str:
    """192 random bits in URL-safe letters."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def authority(store: SecretStore, platform: Platform) -> CertificateAuthority:
    """The platform's own certificate authority."""

    def make() -> str:
        made = CertificateAuthority.create(f"{platform.name} platform authority")
        return json.dumps({"certificate": made.certificate_pem, "key": made.key_pem})

    kept = json.loads(store.get_or_create(AUTHORITY, make))
    return CertificateAuthority.load(kept["certificate"], kept["key"])


def certificate(
    store: SecretStore,
    issuer: CertificateAuthority,
    name: str,
    *,
    common_name: str,
    dns: Iterable[str],
    ip: Iterable[str],
    client: bool = False,
    now: datetime | None = None,
) -> KeyPair:
    """A server's certificate from the store: issued again when its names change or two thirds of its life are over."""
    names, addresses = tuple(dns), tuple(ip)

    def make() -> str:
        made = issuer.issue(common_name, dns=names, ip=addresses, client=client)
        return json.dumps({"certificate": made.certificate_pem, "key": made.key_pem})

    kept = json.loads(store.get_or_create(name, make))
    wanted = frozenset(names) | frozenset(addresses)
    moment = now or datetime.now(UTC)
    if alternative_names(kept["certificate"]) != wanted or needs_renewal(kept["certificate"], moment):
        fresh = make()
        store.replace(name, fresh)
        kept = json.loads(fresh)
    return KeyPair(kept["certificate"], kept["key"])


def _new_keyring() -> str:
    private = new_private_key()
    # RFC 7638 would do as well; what counts is that the id follows from the key and can name a file.
    kid = sha256(public_key_of(private).encode()).hexdigest()[:16]
    return json.dumps([{"kid": kid, "private_pem": private, "not_before": 0}])


def keyring(store: SecretStore, name: str) -> list[dict[str, Any]]:
    """Signing keys: `kid`, `private_pem`, `not_before` (epoch seconds)."""
    return list(json.loads(store.get_or_create(name, _new_keyring)))


def key_set(keys: Iterable[dict[str, Any]]) -> str:
    """RFC 7517 key set of the public halves."""
    from joserfc.jwk import ECKey

    public: list[dict[str, Any]] = []
    for entry in keys:
        key = ECKey.import_key(public_key_of(entry["private_pem"]))
        document = dict(key.as_dict(private=False))
        document.update({"kid": entry["kid"], "alg": "ES256", "use": "sig"})
        public.append(document)
    return json.dumps({"keys": public}, sort_keys=True)


def clients(get: Callable[[str], Sequence[str]], services: Iterable[Service]) -> str:
    """The services, the operator and the prober as OAuth clients of identity, with hashes of their secrets alone.

    `get` gives the secrets that are accepted: two while one is replaced by the other.
    """

    def digests(name: str) -> str | list[str]:
        found = [sha256(secret.encode()).hexdigest() for secret in get(name)]
        return found[0] if len(found) == 1 else found

    document: dict[str, dict[str, Any]] = {
        service.name: {
            "secret_sha256": digests(service.name),
            "scopes": [f"{name}:call" for name in service.depends_on],
        }
        for service in services
    }
    for name, scopes in ((OPERATOR_CLIENT, OPERATOR_SCOPES), (PROBER_CLIENT, PROBER_SCOPES)):
        document[name] = {
            "secret_sha256": digests(name),
            "role": "operator",
            "scopes": list(scopes),
        }
    return json.dumps(document, sort_keys=True)


def region_secrets(
    store: SecretStore,
    platform: Platform,
    pair: str,
    region: str,
    services: tuple[Service, ...],
    addresses: tuple[str, ...],
) -> RegionSecrets:
    """Everything for `region` of `pair`. `addresses` are those of both regions (names or IP addresses)."""

    def kept(name: str) -> str:
        return store.get_or_create(f"{pair}/{name}", password)

    def upcoming(name: str) -> tuple[str, ...]:
        value = store.get(f"{pair}/{SECRETS_NEXT}/{name}")
        return (value,) if value and value != kept(name) else ()

    def client_secret(service: str) -> str:
        return kept(f"clients/{service}")

    def accepted(client: str) -> tuple[str, ...]:
        return (client_secret(client), *upcoming(f"clients/{client}"))

    issuer = authority(store, platform)
    keys = keyring(store, f"{pair}/token-keys")
    ip, dns = split_addresses(addresses)
    files: dict[str, dict[str, str]] = {
        service.name: {"client-secret": client_secret(service.name)} for service in services
    }
    if "identity" in files:
        files["identity"]["signing-keys.json"] = json.dumps(keys)
        files["identity"]["clients.json"] = clients(accepted, services)
        files["identity"]["field-key"] = kept("identity/field-key")
    if "prescription" in files:
        # Prescriptions outlive every access token: their keys rotate on their own.
        files["prescription"]["prescription-signing-keys.json"] = store.get_or_create(
            f"{pair}/prescription-keys", _new_keyring
        )
    if "prescription" in files:
        files["prescription"]["prescription-signing-keys.json"] = json.dumps(
            keyring(store, f"{pair}/prescription-keys")
        )
    media_key = f"vitalops-{pair}"
    media_secret = kept("media/api-secret")
    for service in services:
        if service.uses_media:
            files[service.name].update({"livekit-api-key": media_key, "livekit-api-secret": media_secret})
    return RegionSecrets(
        authority=issuer.certificate_pem,
        database=DatabaseSecrets(
            superuser=kept("database/superuser"),
            replication=kept("database/replication"),
            rewind=kept("database/rewind"),
            rest_api=kept("database/rest-api"),
            server=certificate(
                store,
                issuer,
                f"{pair}/certificates/postgres",
                common_name="postgres",
                dns=(*server_names(), *dns),
                ip=("127.0.0.1", *ip),
            ),
            services={
                service.name: kept(f"database/services/{service.name}")
                for service in services
                if service.database
            },
            services_next={
                service.name: value
                for service in services
                if service.database
                for value in upcoming(f"database/services/{service.name}")
            },
        ),
        backup=backup_secrets(store, platform, pair, region, (ip, dns)),
        gateway=certificate(
            store,
            issuer,
            f"{pair}/certificates/gateway",
            common_name="gateway",
            dns=(GATEWAY_NAME, "localhost", *dns, *public_names(platform, pair)),
            ip=("127.0.0.1", *ip),
        ),
        token_keys=tuple(PublicKey(entry["kid"], public_key_of(entry["private_pem"])) for entry in keys),
        jwks=key_set(keys),
        service_files=files,
        media_key=media_key,
        media_secret=media_secret,
        webhook_token=kept("alerting/webhook-token"),
        prober=client_secret(PROBER_CLIENT),
        denied=denied(store, pair),
        grafana={
            name: kept(f"grafana/{name}") for name in GRAFANA_FILES if platform.telemetry.grafana is not None
        },
    )


def backup_secrets(
    store: SecretStore,
    platform: Platform,
    pair: str,
    region: str,
    addresses: tuple[tuple[str, ...], tuple[str, ...]],
) -> BackupSecrets:
    """Keys by the region whose backups they are for. `addresses` of both regions: IP addresses, then names.

    The passphrase is never replaced: what was encrypted with another one could not be read any more.
    """
    declared = platform.pairs[pair]
    other = declared.standby if region == declared.primary else declared.primary
    ip, dns = addresses

    def kept(name: str) -> str:
        return store.get_or_create(f"{pair}/backups/{name}", password)

    return BackupSecrets(
        own=kept(f"{region}/s3-key"),
        passphrase=kept(f"{region}/passphrase"),
        held=kept(f"{other}/s3-key"),
        server=certificate(
            store,
            authority(store, platform),
            f"{pair}/certificates/objects",
            common_name="objects",
            dns=(*objects_names(), *dns),
            ip=("127.0.0.1", *ip),
        ),
    )


def edge_certificate(store: SecretStore, platform: Platform, pair: str) -> KeyPair:
    """The edge's certificate: server towards clients, client towards the gateways."""
    ip, dns = split_addresses((platform.pairs[pair].edge.address, "127.0.0.1"))
    return certificate(
        store,
        authority(store, platform),
        f"{pair}/certificates/edge",
        common_name=EDGE_COMMON_NAME,
        dns=("localhost", *dns, *public_names(platform, pair)),
        ip=ip,
        client=True,
    )


def public_names(platform: Platform, pair: str) -> tuple[str, ...]:
    """DNS names by which clients reach the pair: they lead to the edge or to a gateway."""
    record = platform.pairs[pair].dns
    return () if record is None else (record.name.rstrip("."),)


def split_addresses(addresses: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """IP addresses and DNS names, each once, in order."""
    from ipaddress import ip_address

    ips: dict[str, None] = {}
    names: dict[str, None] = {}
    for address in addresses:
        try:
            ips[str(ip_address(address))] = None
        except ValueError:
            names[address] = None
    return tuple(ips), tuple(names)
