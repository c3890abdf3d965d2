"""Certificates: an authority of one's own, what it issues, and when to renew."""

from vitalops.pki.authority import CertificateAuthority, IssuedCertificate
from vitalops.pki.inspect import alternative_names, expires, needs_renewal
from vitalops.pki.keys import new_private_key, public_key_of
from vitalops.pki.reissue import fingerprint, reissued

__all__ = [
    "CertificateAuthority",
    "IssuedCertificate",
    "alternative_names",
    "expires",
    "fingerprint",
    "needs_renewal",
    "new_private_key",
    "public_key_of",
    "reissued",
]
