"""A certificate like another one, with a new key: for rotation."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vitalops.pki.authority import CertificateAuthority, IssuedCertificate
from vitalops.pki.inspect import alternative_names, load_certificate


def reissued(
    issuer: CertificateAuthority, certificate_pem: str, now: datetime | None = None
) -> IssuedCertificate:
    """The same subject, names and purposes; new key, new time. Raises ValueError for what is no certificate."""
    old = load_certificate(certificate_pem)
    names = sorted(alternative_names(certificate_pem))
    addresses = [name for name in names if _is_address(name)]
    purposes = set(old.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    return issuer.issue(
        _first(old, NameOID.COMMON_NAME),
        organization=[
            str(each.value) for each in old.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        ],
        dns=[name for name in names if name not in addresses],
        ip=addresses,
        client=ExtendedKeyUsageOID.CLIENT_AUTH in purposes,
        server=ExtendedKeyUsageOID.SERVER_AUTH in purposes,
        now=now,
    )


def fingerprint(certificate_pem: str) -> str:
    """SHA-256 of the certificate (DER), in hexadecimal: what names it in messages and comparisons."""
    der = load_certificate(certificate_pem).public_bytes(serialization.Encoding.DER)
    return sha256(der).hexdigest()


def _first(certificate: x509.Certificate, kind: x509.ObjectIdentifier) -> str:
    found = certificate.subject.get_attributes_for_oid(kind)
    return str(found[0].value) if found else ""


def _is_address(name: str) -> bool:
    from ipaddress import ip_address

    try:
        ip_address(name)
    except ValueError:
        return False
    return True
