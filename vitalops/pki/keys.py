"""Private keys as PEM text. NIST P-256: small, fast, and accepted by every TLS and JWT library."""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


def new_private_key() -> str:
    """A new P-256 key, PKCS #8 PEM, unencrypted."""
    return dump_private_key(ec.generate_private_key(ec.SECP256R1()))


def public_key_of(key_pem: str) -> str:
    """The public half of a private key, SubjectPublicKeyInfo PEM. Raises ValueError for other keys."""
    return (
        load_private_key(key_pem)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode("ascii")
    )


def dump_private_key(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")


def load_private_key(key_pem: str) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(key_pem.encode("ascii"), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an elliptic-curve key")
    return key
