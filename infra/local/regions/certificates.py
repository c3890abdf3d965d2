"""The cluster's authority, certificates and kubeconfigs, kept in the region's state."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from infra.local.regions.layout import Layout
from vitalops.pki import (
    CertificateAuthority,
    alternative_names,
    needs_renewal,
    new_private_key,
    public_key_of,
)

CLUSTER_AUTHORITY = "ca"
PROXY_AUTHORITY = "front-proxy-ca"
"""Of the API server as a client of extension API servers: apart, or any client could speak for another user."""
API_SERVER = "apiserver"
FRONT_PROXY_USER = "front-proxy-client"
KUBELET = "kubelet"
ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate's subject. Kubernetes reads the organisation as a group, the common name as a user."""

    name: str
    user: str
    group: str = ""
    dns: tuple[str, ...] = ()
    ip: tuple[str, ...] = ()
    server: bool = False
    client: bool = True
    authority: str = "ca"


def identities(region: Layout) -> tuple[Identity, ...]:
    """Every certificate of a region. Only the administrator is in a privileged group; all others are bound by RBAC."""
    addresses = region.addresses
    return (
        Identity(
            API_SERVER,
            "kube-apiserver",
            dns=(
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
                "localhost",
            ),
            ip=(addresses.node, addresses.api_service, "127.0.0.1"),
            server=True,
            client=False,
        ),
        Identity("apiserver-kubelet", "vitalops:apiserver-kubelet"),
        Identity("front-proxy", FRONT_PROXY_USER, authority=PROXY_AUTHORITY),
        Identity(ADMIN, "vitalops:admin", "system:masters"),
        Identity("controller-manager", "system:kube-controller-manager"),
        Identity("scheduler", "system:kube-scheduler"),
        Identity(
            KUBELET,
            f"system:node:{region.name}",
            "system:nodes",
            (region.name,),
            (addresses.node,),
            server=True,
        ),
        Identity("proxy", "system:kube-proxy"),
        Identity("coredns", "vitalops:coredns"),
        Identity("provisioner", "vitalops:provisioner"),
    )


def kubeconfig(region: Layout, user: str, authority_pem: str, certificate_pem: str, key_pem: str) -> str:
    """Self-contained, as JSON (which is YAML): it can be copied to wherever it is wanted."""

    def data(pem: str) -> str:
        return base64.b64encode(pem.encode()).decode()

    cluster = {"server": region.addresses.api_url, "certificate-authority-data": data(authority_pem)}
    credentials = {"client-certificate-data": data(certificate_pem), "client-key-data": data(key_pem)}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": region.name, "cluster": cluster}],
        "users": [{"name": f"{region.name}-{user}", "user": credentials}],
        "contexts": [
            {"name": region.name, "context": {"cluster": region.name, "user": f"{region.name}-{user}"}}
        ],
        "current-context": region.name,
    }
    return json.dumps(document, indent=1)


def encryption_configuration(key: bytes) -> str:
    """Secrets are encrypted in etcd (XSalsa20-Poly1305); what was written before still reads as plain text."""
    providers: list[dict[str, Any]] = [
        {"secretbox": {"keys": [{"name": "key1", "secret": base64.b64encode(key).decode()}]}},
        {"identity": {}},
    ]
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    }
    return json.dumps(document)


def write_private(path: Path, text: str) -> None:
    """Replaces a file at once, readable by its owner only."""
    partial = path.with_name(f".{path.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    partial.replace(path)


def ensure(region: Layout, now: datetime | None = None) -> Mapping[str, Path]:
    """Makes what is missing and renews what is due; returns the kubeconfig of each client identity.

    A new authority makes its certificates anew, as does a change of the region's addresses.
    """
    moment = now or datetime.now(UTC)
    folder = region.pki
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authorities = {
        name: _ensure_authority(region, name, moment) for name in (CLUSTER_AUTHORITY, PROXY_AUTHORITY)
    }
    if not (folder / "service-accounts.pub").exists():
        key = new_private_key()
        write_private(folder / "service-accounts.key", key)
        write_private(folder / "service-accounts.pub", public_key_of(key))
    if not (folder / "encryption.json").exists():
        write_private(folder / "encryption.json", encryption_configuration(secrets.token_bytes(32)))
    return {
        identity.name: path
        for identity in identities(region)
        if (path := _ensure_identity(region, authorities[identity.authority], identity, moment)) is not None
    }


def _ensure_authority(region: Layout, name: str, now: datetime) -> CertificateAuthority:
    certificate, key = region.pki / f"{name}.crt", region.pki / f"{name}.key"
    if certificate.exists() and key.exists() and not needs_renewal(certificate.read_text(), now):
        return CertificateAuthority.load(certificate.read_text(), key.read_text())
    # An interrupted run must find it missing again, not half of it.
    certificate.unlink(missing_ok=True)
    authority = CertificateAuthority.create(f"vitalops {region.name} {name}", now=now)
    write_private(key, authority.key_pem)
    write_private(certificate, authority.certificate_pem)
    return authority


def _ensure_identity(
    region: Layout, authority: CertificateAuthority, identity: Identity, now: datetime
) -> Path | None:
    certificate = region.pki / f"{identity.name}.crt"
    key = region.pki / f"{identity.name}.key"
    due = not (certificate.exists() and key.exists())
    if not due:
        text = certificate.read_text()
        due = (
            needs_renewal(text, now)
            or alternative_names(text) != frozenset(identity.dns) | frozenset(identity.ip)
            or not _issued_by(authority.certificate_pem, text)
        )
    if due:
        issued = authority.issue(
            identity.user,
            organization=identity.group or None,
            dns=identity.dns,
            ip=identity.ip,
            client=identity.client,
            server=identity.server,
            now=now,
        )
        # As long as one of the two is missing, an interrupted renewal is due again.
        certificate.unlink(missing_ok=True)
        write_private(key, issued.key_pem)
        write_private(certificate, issued.certificate_pem)
    if not identity.client:
        return None
    config = region.kubeconfig if identity.name == ADMIN else region.pki / f"{identity.name}.kubeconfig"
    text = kubeconfig(
        region, identity.name, authority.certificate_pem, certificate.read_text(), key.read_text()
    )
    if not config.exists() or config.read_text() != text:
        write_private(config, text)
    return config


def _issued_by(authority_pem: str, certificate_pem: str) -> bool:
    authority, certificate = (
        x509.load_pem_x509_certificate(pem.encode()) for pem in (authority_pem, certificate_pem)
    )
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
