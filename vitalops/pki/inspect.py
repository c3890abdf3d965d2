"""Questions about certificates that exist already."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction

from cryptography import x509

RENEW_AT = Fraction(2, 3)
"""Share of a certificate's life after which it is renewed: a third is left to notice that renewal fails."""


def load_certificate(certificate_pem: str) -> x509.Certificate:
    """Raises ValueError for anything but a PEM certificate."""
    return x509.load_pem_x509_certificate(certificate_pem.encode("ascii"))


def expires(certificate_pem: str) -> datetime:
    """End of validity, UTC."""
    return load_certificate(certificate_pem).not_valid_after_utc


def needs_renewal(certificate_pem: str, now: datetime) -> bool:
    """Whether two thirds of the certificate's life are over, or it is not valid yet. `now` is aware."""
    certificate = load_certificate(certificate_pem)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now < begin or (now - begin) >= (end - begin) * float(RENEW_AT)


def alternative_names(certificate_pem: str) -> frozenset[str]:
    """DNS names and IP addresses, as text."""
    try:
        extension = load_certificate(certificate_pem).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return frozenset()
    names = extension.value
    return frozenset(names.get_values_for_type(x509.DNSName)) | frozenset(
        str(address) for address in names.get_values_for_type(x509.IPAddress)
    )
