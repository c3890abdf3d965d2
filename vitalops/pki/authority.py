"""A certificate authority. Its certificates carry what RFC 5280 asks for.

Python 3.13 verifies strictly (VERIFY_X509_STRICT): a CA without keyUsage, or a certificate without key
identifiers, is refused, and pods could then not reach their API server.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vitalops.pki.inspect import load_certificate
from vitalops.pki.keys import dump_private_key, load_private_key

AUTHORITY_DAYS = 3650
LEAF_DAYS = 365
BACKDATED = timedelta(hours=1)
"""Validity begins this long before now: clocks of other machines may be behind."""


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """PEM texts. The key never shows in `repr`."""

    certificate_pem: str
    key_pem: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """Signs leaf certificates, no further authorities."""

    certificate_pem: str
    key_pem: str = field(repr=False)

    @staticmethod
    def create(
        common_name: str, *, days: int = AUTHORITY_DAYS, now: datetime | None = None
    ) -> CertificateAuthority:
        """A new self-signed authority, valid for `days` from `now` (the present where not given)."""
        begin = (now or datetime.now(UTC)) - BACKDATED
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(common_name, ())
        certificate = (
            _begin(name, name, key.public_key(), begin, begin + BACKDATED + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        return CertificateAuthority(_pem(certificate), dump_private_key(key))

    @staticmethod
    def load(certificate_pem: str, key_pem: str) -> CertificateAuthority:
        """An authority from its PEM texts. Raises ValueError where they do not belong together."""
        if load_certificate(certificate_pem).public_key() != load_private_key(key_pem).public_key():
            raise ValueError("the key does not belong to the certificate")
        return CertificateAuthority(certificate_pem, key_pem)

    def issue(
        self,
        common_name: str,
        *,
        organization: str | Iterable[str] | None = None,
        dns: Iterable[str] = (),
        ip: Iterable[str] = (),
        days: int = LEAF_DAYS,
        client: bool = False,
        server: bool = True,
        now: datetime | None = None,
    ) -> IssuedCertificate:
        """A leaf certificate with a key of its own, valid for `days` but no longer than the authority.

        `organization` may be several: Kubernetes reads them as the groups of a client. At least one of
        `client` and `server` must be set. Raises ValueError for a bad IP address, or where neither is set.
        """
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH] * server + [ExtendedKeyUsageOID.CLIENT_AUTH] * client
        if not purposes:
            raise ValueError("a certificate needs a purpose: client, server or both")
        issuer = load_certificate(self.certificate_pem)
        signing_key = load_private_key(self.key_pem)
        organizations = (organization,) if isinstance(organization, str) else tuple(organization or ())
        moment = now or datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _begin(
            _name(common_name, organizations),
            issuer.subject,
            key.public_key(),
            max(moment - BACKDATED, issuer.not_valid_before_utc),
            min(moment + timedelta(days=days), issuer.not_valid_after_utc),
        )
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in dns]
        names += [x509.IPAddress(ip_address(address)) for address in ip]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
            )
            .sign(signing_key, hashes.SHA256())
        )
        return IssuedCertificate(_pem(certificate), dump_private_key(key))


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common_name: str, organizations: Iterable[str]) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
