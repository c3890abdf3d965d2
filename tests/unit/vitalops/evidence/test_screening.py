"""What is refused, and what operations say every day and must stay free to say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitalops.errors import UsageError
from vitalops.evidence.record import Record, RecordKind
from vitalops.evidence.screening import screen, suspicions, text_holds, values_of
from vitalops.secretstore import InMemorySecretStore


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("write to jeanne.martin@chu-lyon.fr", "e-mail"),
        ("call +33 6 12 34 56 78", "phone"),
        ("call 06 12 34 56 78 now", "phone"),
        ("0612345678", "phone"),
        ("06.12.34.56.78", "phone"),
        ("+41 44 668 18 00", "phone"),
        ("044 668 18 00", "phone"),
        ("(415) 555-2671", "phone"),
        ("0041446681800", "phone"),
        ("1 84 12 76 451 089 46", "social security"),
        ("184127645108946", "social security"),
        ("756.9217.0769.85", "social security"),
        ("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "token"),
        ("-----BEGIN EC PRIVATE KEY-----", "key"),
        ("Authorization: Bearer 9fT3kQ8x", "credentials"),
        ("authorization: basic dXNlcjpwYXNz", "credentials"),
        ("postgresql://vitalops:hunter2@db/x", "credentials"),
        ('{"birthDate": "1970-01-01"}', "patient"),
        ("family_name=Martin", "patient"),
    ],
)
def test_is_refused(text: str, what: str) -> None:
    assert what in text_holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "region-failover-k3v9qd",
        "ErrorBudgetBurn in fr-par: 14.4 times too fast over 1h",
        "2026-12-01T22:00:00.123456+00:00",
        "2026-12-01 22:00:00 UTC",
        "10.201.0.2:30443",
        "https://10.201.1.2:30443/region-health",
        "token 1764000000123",
        "1764000000123456",
        "lag 0 B, LSN 0/3000148, timeline 2",
        "0.0123456789 s",
        "basic authentication is off",
        "the bearer token was rotated",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "fingerprint 0123456789abcdef",
        "postgres-0.postgres.vitalops-data",
        "spiffe://vitalops/fr-par",
        "name: records, address: 10.0.0.1, given up after 30 s",
        "6f1c9a52-0d5e-4b7a-9c1f-061234567800",
        "step 3 of 4: fence; 12 of 12 ready; 123-456-7890123",
    ],
)
def test_is_kept(text: str) -> None:
    assert text_holds(text) == ""


@given(st.datetimes(timezones=st.just(UTC)), st.floats(0, 1e6), st.integers(0, 10**9))
def test_times_and_figures_are_kept(at: datetime, seconds: float, count: int) -> None:
    for text in (
        at.isoformat(),
        f"took {seconds} s",
        f"{seconds:.3f}",
        f"{count} rows",
        f"{count} of {count}",
    ):
        assert text_holds(text) == ""


def test_keys_and_places_are_told_and_values_are_not() -> None:
    found = list(suspicions({"steps": [{"note": "a@b.example"}, {"birth_date": "1970"}], "Family-Name": "x"}))
    assert [each.where for each in found] == ["data.steps[0].note", "data.steps[1]", "data"]
    assert list(suspicions({"resourceType": "Patient", "id": "1"}))
    assert list(suspicions({"a@b.example": 1}))


def test_every_field_of_a_record_is_screened() -> None:
    good = {"operation": "o", "name": "n", "actor": "a", "target": "t", "reason": "r"}
    screen(Record(RecordKind.NOTE, **good))
    for field in good:
        with pytest.raises(UsageError, match=f"{field} seems to hold an e-mail address"):
            screen(Record(RecordKind.NOTE, **{**good, field: "x@example.org"}))


def test_short_values_of_the_store_are_words() -> None:
    store = InMemorySecretStore()
    store.replace("a", "fr-par")
    store.replace("b", "  a-long-enough-secret\n")
    assert values_of(store) == ("a-long-enough-secret",)
