"""Certificates are judged by a TLS handshake as Python 3.13 makes it, not by our own reading of them."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from vitalops.pki import (
    CertificateAuthority,
    IssuedCertificate,
    alternative_names,
    expires,
    needs_renewal,
    new_private_key,
    public_key_of,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def files(folder: Path, issued: IssuedCertificate, name: str) -> tuple[Path, Path]:
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    certificate.write_text(issued.certificate_pem)
    key.write_text(issued.key_pem)
    return certificate, key


def handshake(
    folder: Path,
    authority: CertificateAuthority,
    server: IssuedCertificate,
    host: str,
    client: IssuedCertificate | None = None,
) -> str:
    """The client's common name as the server saw it (or ""). Raises ssl.SSLError where one side refuses."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(*files(folder, server, "server"))
    client_context = ssl.create_default_context(cadata=authority.certificate_pem)
    # The default since Python 3.13.
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    if client is not None:
        server_context.verify_mode = ssl.CERT_REQUIRED
        server_context.verify_flags |= ssl.VERIFY_X509_STRICT
        server_context.load_verify_locations(cadata=authority.certificate_pem)
        client_context.load_cert_chain(*files(folder, client, "client"))
    seen: list[str] = []
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with server_context.wrap_socket(theirs, server_side=True) as wrapped:
                subject = (wrapped.getpeercert() or {}).get("subject", ())
                seen.extend(value for ((key, value),) in subject if key == "commonName")
                wrapped.sendall(b"x")
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client_context.wrap_socket(ours, server_hostname=host) as wrapped:
            wrapped.recv(1)
    finally:
        ours.close()
        thread.join(10)
    return "".join(seen)


def test_a_strict_client_trusts_a_server_by_name_and_by_address(tmp_path: Path) -> None:
    authority = CertificateAuthority.create("Vitalops test")
    server = authority.issue("edge", dns=["localhost", "*.vitalops-data.svc"], ip=["127.0.0.1", "::1"])
    for host in ("localhost", "a.vitalops-data.svc", "127.0.0.1", "::1"):
        handshake(tmp_path, authority, server, host)
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(tmp_path, authority, server, "elsewhere.example.org")


def test_another_authority_of_the_same_name_is_not_trusted(tmp_path: Path) -> None:
    server = CertificateAuthority.create("Vitalops test").issue("edge", dns=["localhost"])
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, CertificateAuthority.create("Vitalops test"), server, "localhost")


def test_a_client_is_known_by_its_name_and_a_server_certificate_is_no_client_certificate(
    tmp_path: Path,
) -> None:
    authority = CertificateAuthority.create("Vitalops test")
    server = authority.issue("edge", dns=["localhost"])
    client = authority.issue("kubelet", client=True, server=False)
    assert handshake(tmp_path, authority, server, "localhost", client) == "kubelet"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(tmp_path, authority, server, "localhost", server)


def test_a_leaf_cannot_sign(tmp_path: Path) -> None:
    authority = CertificateAuthority.create("Vitalops test")
    leaf = authority.issue("leaf", dns=["localhost"])
    rogue = CertificateAuthority.load(leaf.certificate_pem, leaf.key_pem).issue("rogue", dns=["localhost"])
    chain = IssuedCertificate(rogue.certificate_pem + leaf.certificate_pem, rogue.key_pem)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, authority, chain, "localhost")


def test_organizations_are_kubernetes_groups() -> None:
    issued = CertificateAuthority.create("x").issue(
        "admin", organization=["system:masters", "b"], client=True
    )
    subject = x509.load_pem_x509_certificate(issued.certificate_pem.encode()).subject
    assert [each.value for each in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == [
        "system:masters",
        "b",
    ]
    one = CertificateAuthority.create("x").issue("admin", organization="system:masters", client=True)
    subject = x509.load_pem_x509_certificate(one.certificate_pem.encode()).subject
    assert [each.value for each in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == [
        "system:masters"
    ]


def test_no_key_shows_in_repr() -> None:
    authority = CertificateAuthority.create("x")
    issued = authority.issue("y")
    assert "PRIVATE" not in repr(authority) + repr(issued)


def test_an_authority_is_loaded_with_its_own_key_only() -> None:
    first, second = CertificateAuthority.create("x"), CertificateAuthority.create("x")
    assert CertificateAuthority.load(first.certificate_pem, first.key_pem) == first
    with pytest.raises(ValueError, match="does not belong"):
        CertificateAuthority.load(first.certificate_pem, second.key_pem)


def test_a_certificate_needs_a_purpose() -> None:
    with pytest.raises(ValueError, match="purpose"):
        CertificateAuthority.create("x").issue("y", server=False)


def test_renewal_is_due_after_two_thirds_of_a_life() -> None:
    leaf = CertificateAuthority.create("x", now=NOW).issue("y", days=90, now=NOW).certificate_pem
    assert not needs_renewal(leaf, NOW)
    assert not needs_renewal(leaf, NOW + timedelta(days=59))
    assert needs_renewal(leaf, NOW + timedelta(days=60))
    assert needs_renewal(leaf, NOW + timedelta(days=1000))
    assert needs_renewal(leaf, NOW - timedelta(days=1)), "a clock that was wrong when it was issued"


def test_a_leaf_does_not_outlive_its_authority() -> None:
    authority = CertificateAuthority.create("x", days=10, now=NOW)
    assert expires(authority.issue("y", days=365, now=NOW).certificate_pem) == NOW + timedelta(days=10)


def test_names_are_read_back() -> None:
    authority = CertificateAuthority.create("x")
    assert alternative_names(authority.issue("y", dns=["a.b"], ip=["10.201.1.2"]).certificate_pem) == {
        "a.b",
        "10.201.1.2",
    }
    assert alternative_names(authority.issue("y").certificate_pem) == frozenset()


def test_the_public_half_of_a_key() -> None:
    key = new_private_key()
    assert public_key_of(key).startswith("-----BEGIN PUBLIC KEY-----")
    assert public_key_of(key) != public_key_of(new_private_key())
