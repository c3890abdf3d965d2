"""A certificate like another one, with a new key."""

from __future__ import annotations

import pytest

from vitalops.pki import CertificateAuthority, alternative_names, fingerprint, reissued
from vitalops.pki.inspect import load_certificate


@pytest.mark.parametrize(("client", "server"), [(True, True), (False, True), (True, False)])
def test_names_and_purposes_stay_and_the_key_does_not(client: bool, server: bool) -> None:
    authority = CertificateAuthority.create("test")
    old = authority.issue(
        "edge",
        organization=["ops"],
        dns=["b.example", "a.example"],
        ip=["127.0.0.1"],
        client=client,
        server=server,
    )
    new = reissued(authority, old.certificate_pem)
    assert alternative_names(new.certificate_pem) == alternative_names(old.certificate_pem)
    before, after = load_certificate(old.certificate_pem), load_certificate(new.certificate_pem)
    assert after.subject == before.subject
    assert {
        type(each.value): each.value for each in after.extensions if "KeyUsage" in type(each.value).__name__
    } == {
        type(each.value): each.value for each in before.extensions if "KeyUsage" in type(each.value).__name__
    }
    assert new.key_pem != old.key_pem
    assert fingerprint(new.certificate_pem) != fingerprint(old.certificate_pem)
