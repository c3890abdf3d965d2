"""What must not enter a journal: patient data, and secrets. A record that seems to hold either is refused.

Patterns, so neither complete nor free of error; they are the second line. The first is that nothing that an operation
knows is about a patient: it knows regions, services, figures and times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from vitalops.errors import UsageError
from vitalops.evidence.record import Record
from vitalops.secretstore.port import SecretStore

SHORTEST_SECRET: Final = 12
"""Shorter values of the secret store are words that may stand anywhere."""

_EDGE = r"(?<![\w.+:/-])", r"(?![\w:/-]|\.\d)"
_PHONE: Final = re.compile(
    _EDGE[0]
    + r"(?:"
    + r"(?:\+|00)[1-9]\d{0,2}(?:[ .-]?\(?\d{1,4}\)?){2,6}"  # international; judged by its number of digits
    + r"|0[1-9](?:[ .-]?\d\d){4}"  # France
    + r"|0[1-9]\d[ .-]?\d{3}[ .-]?\d\d[ .-]?\d\d"  # Switzerland
    + r"|\(?[2-9]\d\d\)?[ .-][2-9]\d\d[ .-]\d{4}"  # United States
    + r")"
    + _EDGE[1]
)
_NIR: Final = re.compile(
    r"(?<!\d)([12378])[ .]?(\d\d)[ .]?(\d\d)[ .]?(\d\d|2[AB])[ .]?(\d{3})[ .]?(\d{3})[ .]?(\d\d)(?!\d)"
)
_AHV: Final = re.compile(r"(?<!\d)756[ .]?\d{4}[ .]?\d{4}[ .]?\d{2}(?!\d)")
_PATTERNS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    (
        "an e-mail address",
        re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"),
    ),
    ("a token", re.compile(r"eyJ[A-Za-z0-9_-]{6,500}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*")),
    ("a key or certificate", re.compile(r"-----BEGIN [A-Z ]+-----")),
    # Words follow "basic" and "bearer" in plain English; credentials have digits, capitals or padding.
    (
        "credentials",
        re.compile(r"\b(?i:basic|bearer) +(?=[A-Za-z0-9._~+/-]*[0-9A-Z=])[A-Za-z0-9._~+/-]{6,}=*"),
    ),
    ("credentials", re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s/:@]{1,200}:[^\s/@]{1,200}@")),
)
_PATIENT_FIELDS: Final = frozenset(
    (
        "birthdate",
        "dateofbirth",
        "familyname",
        "firstname",
        "givenname",
        "lastname",
        "patientname",
        "maidenname",
        "maritalstatus",
        "telecom",
        "deceasedboolean",
        "deceaseddatetime",
        "multiplebirthboolean",
        "generalpractitioner",
        "nir",
        "ssn",
        "ahv",
        "socialsecuritynumber",
        "insuranceid",
        "phonenumber",
        "emailaddress",
        "homeaddress",
        "postaladdress",
        "valuequantity",
        "dosageinstruction",
        "medicationcodeableconcept",
    )
)
"""Names of FHIR's and of our services' fields about a person, in small letters without anything between."""
_FIELD_IN_TEXT: Final = re.compile(r"[\"']?([A-Za-z][A-Za-z_-]{2,40})[\"']?\s*[:=]")


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What was found, and where. The value itself is nowhere."""

    where: str
    what: str


def text_holds(text: str) -> str:
    """What `text` seems to hold that must not be kept; empty where nothing."""
    for what, pattern in _PATTERNS:
        if pattern.search(text):
            return what
    if any(_is_phone(found.group()) for found in _PHONE.finditer(text)):
        return "a phone number"
    if any(_nir_checks(found.groups()) for found in _NIR.finditer(text)):
        return "a social security number"
    if any(_ean_checks(_digits(found.group())) for found in _AHV.finditer(text)):
        return "a social security number"
    if any(_is_patient_field(name) for name in _FIELD_IN_TEXT.findall(text)):
        return "a field about a patient"
    return ""


def suspicions(value: object, where: str = "data") -> Iterator[Suspicion]:
    """Everything suspicious in a value of JSON, keys included."""
    match value:
        case str():
            if what := text_holds(value):
                yield Suspicion(where, what)
        case Mapping():
            mapping = cast(Mapping[object, object], value)
            if mapping.get("resourceType") in ("Patient", "RelatedPerson", "Person"):
                yield Suspicion(where, "a FHIR resource about a person")
            for key, below in mapping.items():
                name = str(key)
                if _is_patient_field(name):
                    yield Suspicion(where, "a field about a patient")
                elif what := text_holds(name):
                    yield Suspicion(where, what)
                else:
                    yield from suspicions(below, f"{where}.{name}")
        case list() | tuple():
            for index, below in enumerate(cast(Sequence[Any], value)):
                yield from suspicions(below, f"{where}[{index}]")
        case _:
            return


def values_of(store: SecretStore) -> tuple[str, ...]:
    """The values of a secret store that are long enough to be told from words."""
    values = (store.get(name) for name in store.names())
    return tuple(value.strip() for value in values if value and len(value.strip()) >= SHORTEST_SECRET)


def screen(record: Record, secrets: Callable[[], Sequence[str]] = lambda: ()) -> None:
    """Raises UsageError, naming the place and not the value, for a record that the journal must not hold."""
    parts = {
        "operation": record.operation,
        "name": record.name,
        "actor": record.actor,
        "target": record.target,
        "reason": record.reason,
        "data": record.data,
    }
    for where, value in parts.items():
        for found in suspicions(value, where):
            raise _refused(found)
    known = secrets()
    for where, value in parts.items():
        if any(secret in text for text in _texts(value) for secret in known):
            raise _refused(Suspicion(where, "a secret"))


def _refused(found: Suspicion) -> UsageError:
    return UsageError(
        f"not kept in the journal: {found.where} seems to hold {found.what}",
        hint="say it without; the journal keeps neither patient data nor secrets",
    )


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for key, below in cast(Mapping[object, object], value).items():
                yield str(key)
                yield from _texts(below)
        case list() | tuple():
            for below in cast(Sequence[Any], value):
                yield from _texts(below)
        case _:
            return


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


def _is_patient_field(name: str) -> bool:
    return "".join(character for character in name.lower() if character.isalnum()) in _PATIENT_FIELDS


def _is_phone(text: str) -> bool:
    return 9 <= len(_digits(text)) <= 15


def _nir_checks(groups: Sequence[str]) -> bool:
    """The key of a French social security number: 97 - (its thirteen digits mod 97), with 19 for 2A and 18 for 2B."""
    number = "".join(groups[:-1]).replace("2A", "19").replace("2B", "18")
    return 97 - int(number) % 97 == int(groups[-1])


def _ean_checks(digits: str) -> bool:
    """The check digit of EAN-13, which Swiss social security numbers have."""
    weighted = sum(int(digit) * (3 if index % 2 else 1) for index, digit in enumerate(digits[:12]))
    return (10 - weighted % 10) % 10 == int(digits[12])
