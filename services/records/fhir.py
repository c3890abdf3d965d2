"""FHIR resources as this service takes, keeps and gives them.

The models are those of `fhir.resources.R4B`, imported by that name. fhir.resources 8 has R5 at its top level and, for
the fourth release, only R4B (4.3.0), which is R4 (4.0.1) with changed evidence, medication-definition and subscription
resources: Patient, Encounter and Observation are the same in both, so what passes here is valid R4, and the capability
statement names 4.0.1. Importing from the top level would give R5, where Encounter.class is a list and `period` is gone.

A limit of that library: it reads decimals by way of binary floats, so the trailing zeros of a decimal are not kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, cast

from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.encounter import Encounter
from fhir.resources.R4B.observation import Observation
from fhir.resources.R4B.patient import Patient
from pydantic import BaseModel, ValidationError

FHIR_VERSION: Final = "4.0.1"
MEDIA_TYPE: Final = "application/fhir+json"
LOINC: Final = "http://loinc.org"
CONSULT_NOTE: Final = "11488-4"
"""LOINC code of a consultation note, which is kept as an Observation with a valueString."""

ResourceType = Literal["Patient", "Encounter", "Observation"]
MODELS: Final[dict[ResourceType, type[BaseModel]]] = {
    "Patient": cast("type[BaseModel]", Patient),
    "Encounter": cast("type[BaseModel]", Encounter),
    "Observation": cast("type[BaseModel]", Observation),
}

ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
"""The `id` type of FHIR."""
# Characters a FHIR string may not hold (datatypes.html#string); PostgreSQL refuses NUL as well.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


@dataclass(frozen=True, slots=True)
class Issue:
    """One fault: a code of http://hl7.org/fhir/issue-type, where it is, and what rule it breaks. Never a value."""

    code: str
    diagnostics: str
    expression: str = ""


class InvalidResource(Exception):
    """The body is not a resource of the type it is offered as."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        super().__init__(f"{len(issues)} faults")
        self.issues = tuple(issues)


@dataclass(frozen=True, slots=True)
class Resource:
    """A valid resource, and what the service needs to know of it without reading it again."""

    type: ResourceType
    given_id: str
    """The id that the client wrote into it; empty when none."""
    document: dict[str, Any]
    """The resource without `id` and `meta`, which are the server's."""
    patient: str
    """Subject id of the patient it is about; empty for a Patient, which is about itself."""
    encounter: str
    codes: frozenset[tuple[str, str]]
    """(system, code) of each coding that names what it is."""


def parse(kind: ResourceType, body: bytes) -> Resource:
    """Read `body` as a resource of `kind`. Raises InvalidResource with every fault found."""
    try:
        document = json.loads(body)
    except ValueError:
        raise InvalidResource([Issue("structure", "the body is not JSON")]) from None
    if not isinstance(document, dict) or cast("dict[str, Any]", document).get("resourceType") != kind:
        raise InvalidResource([Issue("structure", f"the body is not a {kind}", "resourceType")])
    if _has_control(document):
        raise InvalidResource([Issue("value", "strings hold no control characters")])
    try:
        model = MODELS[kind].model_validate_json(body)
    except (ValidationError, ValueError) as error:
        raise InvalidResource(_issues(error)) from None
    given = model.model_copy(update={"id": None, "meta": None}).model_dump(mode="json")
    return Resource(
        type=kind,
        given_id=str(cast("Any", model).id or ""),
        document=given,
        patient="" if kind == "Patient" else _reference(given, "subject", "Patient"),
        encounter=_reference(given, "encounter", "Encounter") if "encounter" in given else "",
        codes=frozenset(_codings(given.get("code"))),
    )


def _has_control(value: Any) -> bool:
    match value:
        case str():
            return _CONTROL.search(value) is not None
        case dict():
            items = cast("dict[str, Any]", value).items()
            return any(_has_control(key) or _has_control(item) for key, item in items)
        case list():
            return any(_has_control(item) for item in cast("list[Any]", value))
        case _:
            return False


def _issues(error: Exception) -> list[Issue]:
    if not isinstance(error, ValidationError):
        return [Issue("invalid", "the resource does not fit its definition")]
    return [
        Issue(
            "required" if fault["type"] == "missing" else "invalid",
            f"breaks the rule {fault['type']}",
            # A key the client made up is not repeated.
            ".".join(
                str(part)
                for part in (fault["loc"][:-1] if fault["type"] == "extra_forbidden" else fault["loc"])
            ),
        )
        for fault in error.errors(include_input=False, include_url=False, include_context=False)
    ]


def _reference(document: Mapping[str, Any], name: str, kind: str) -> str:
    """The id behind `<kind>/<id>` in a reference. Raises InvalidResource for an absent or a foreign one."""
    holder = cast("dict[str, Any]", document.get(name) or {})
    reference = str(holder.get("reference", ""))
    found = re.fullmatch(rf"{kind}/({ID.pattern})", reference)
    if not found:
        raise InvalidResource(
            [Issue("value", f"a reference of the form {kind}/id is needed", f"{name}.reference")]
        )
    return found.group(1)


def _codings(concept: Any) -> Iterable[tuple[str, str]]:
    codings = cast("dict[str, Any]", concept or {}).get("coding", [])
    for coding in cast("list[dict[str, str]]", codings):
        if coding.get("code"):
            yield coding.get("system", ""), coding["code"]


def present(document: Mapping[str, Any], *, id: str, version: int, updated: datetime) -> dict[str, Any]:
    """The stored document as a client gets it: with its id, version and time of change."""
    head = {
        "resourceType": document["resourceType"],
        "id": id,
        "meta": {"versionId": str(version), "lastUpdated": instant(updated)},
    }
    return head | {key: value for key, value in document.items() if key not in head}


def bundle(
    entries: Sequence[tuple[str, Mapping[str, Any]]], *, total: int, links: Mapping[str, str]
) -> dict[str, Any]:
    """A searchset of (full URL, resource)."""
    head: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": total,
        "link": [{"relation": relation, "url": url} for relation, url in links.items()],
    }
    # FHIR has no empty arrays (json.html#null).
    if entries:
        head["entry"] = [
            {"fullUrl": url, "resource": dict(resource), "search": {"mode": "match"}}
            for url, resource in entries
        ]
    return head


def outcome(issues: Iterable[Issue], *, severity: str = "error") -> dict[str, Any]:
    """An OperationOutcome."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [
            {"severity": severity, "code": issue.code, "diagnostics": issue.diagnostics}
            | ({"expression": [issue.expression]} if issue.expression else {})
            for issue in issues
        ],
    }


def instant(moment: datetime) -> str:
    """FHIR's `instant`, in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


SEARCH_PARAMETERS: Final[dict[ResourceType, tuple[tuple[str, str], ...]]] = {
    "Patient": (("_id", "token"),),
    "Encounter": (("_id", "token"), ("patient", "reference"), ("subject", "reference")),
    "Observation": (
        ("_id", "token"),
        ("patient", "reference"),
        ("subject", "reference"),
        ("encounter", "reference"),
        ("code", "token"),
    ),
}


def capability_statement(published: datetime) -> dict[str, Any]:
    """What /fhir can do, as its clients ask for it."""
    statement: dict[str, Any] = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(published),
        "kind": "instance",
        "software": {"name": "Vitalops records"},
        "implementation": {"description": "Records of the reference platform"},
        "fhirVersion": FHIR_VERSION,
        "format": ["json", MEDIA_TYPE],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "service": [
                        {
                            "coding": [
                                {
                                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                                    "code": "SMART-on-FHIR",
                                }
                            ],
                            "text": "OAuth 2 bearer tokens of this platform's identity service",
                        }
                    ]
                },
                "resource": [
                    {
                        "type": kind,
                        "interaction": [
                            {"code": code} for code in ("read", "vread", "create", "update", "search-type")
                        ],
                        "versioning": "versioned-update",
                        "readHistory": True,
                        "searchParam": [
                            {"name": name, "type": type_} for name, type_ in SEARCH_PARAMETERS[kind]
                        ],
                    }
                    for kind in MODELS
                ],
            }
        ],
    }
    CapabilityStatement.model_validate(statement)
    return statement
