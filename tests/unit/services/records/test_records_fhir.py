"""Resources as FHIR R4 has them: what passes, what is refused, and that a refusal repeats nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.operationoutcome import OperationOutcome

from services.records.fhir import (
    CONSULT_NOTE,
    LOINC,
    InvalidResource,
    Issue,
    ResourceType,
    bundle,
    capability_statement,
    outcome,
    parse,
    present,
)

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
NOTE: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": LOINC, "code": CONSULT_NOTE}]},
    "subject": {"reference": "Patient/pat-1"},
    "encounter": {"reference": "Encounter/enc-1"},
    "valueString": "Rest and fluids.",
}
ENCOUNTER: dict[str, Any] = {
    "resourceType": "Encounter",
    "status": "finished",
    "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "VR"},
    "subject": {"reference": "Patient/pat-1"},
    "period": {"start": "2026-01-05T09:00:00Z"},
}


def body(document: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps({k: v for k, v in (document | changes).items() if v is not None}).encode()


def test_a_note_names_its_patient_encounter_and_code() -> None:
    note = parse("Observation", body(NOTE, id="chosen-by-client", meta={"versionId": "9"}))
    assert (note.patient, note.encounter) == ("pat-1", "enc-1")
    assert note.codes == {(LOINC, CONSULT_NOTE)}
    assert "id" not in note.document
    assert "meta" not in note.document
    assert note.document["valueString"] == "Rest and fluids."


def test_the_models_are_those_of_r4_not_r5() -> None:
    # In R5 `class` is a list and `period` became `actualPeriod`.
    encounter = parse("Encounter", body(ENCOUNTER))
    assert encounter.document["class"]["code"] == "VR"
    assert encounter.document["period"]["start"].startswith("2026-01-05T09:00:00")
    with pytest.raises(InvalidResource):
        parse("Encounter", body(ENCOUNTER, actualPeriod={"start": "2026-01-05"}))


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("Observation", b"{"),
        ("Observation", b"[]"),
        ("Observation", body(ENCOUNTER)),
        ("Observation", body(NOTE, status=None)),
        ("Observation", body(NOTE, code=None)),
        ("Observation", body(NOTE, subject=None)),
        ("Observation", body(NOTE, subject={"reference": "Practitioner/x"})),
        ("Observation", body(NOTE, subject={"reference": "https://elsewhere.example/Patient/1"})),
        ("Observation", body(NOTE, subject={"display": "somebody"})),
        ("Observation", body(NOTE, valueBoolean=True)),
        ("Observation", body(NOTE, valueString="a\x00b")),
        ("Observation", body(NOTE, secretField="Jeanne")),
        ("Patient", body({"resourceType": "Patient", "birthDate": "Jeanne"})),
    ],
)
def test_what_is_not_a_resource_is_refused_without_repeating_it(kind: ResourceType, content: bytes) -> None:
    with pytest.raises(InvalidResource) as refused:
        parse(kind, content)
    told = json.dumps(outcome(refused.value.issues))
    OperationOutcome.model_validate_json(told)
    assert "Jeanne" not in told
    assert "secretField" not in told
    assert "elsewhere" not in told


def test_a_presented_resource_carries_the_servers_id_and_version() -> None:
    shown = present(parse("Observation", body(NOTE)).document, id="o-1", version=3, updated=NOW)
    assert shown["id"] == "o-1"
    assert shown["meta"] == {"versionId": "3", "lastUpdated": "2026-01-05T09:00:00.000Z"}
    again = parse("Observation", json.dumps(shown).encode())
    assert again == parse("Observation", body(NOTE, id="o-1"))


@pytest.mark.parametrize("count", [0, 2])
def test_a_search_gives_a_valid_bundle(count: int) -> None:
    note = present(parse("Observation", body(NOTE)).document, id="o-1", version=1, updated=NOW)
    found = bundle(
        [("https://x.example/fhir/Observation/o-1", note)] * count,
        total=count,
        links={"self": "https://x.example"},
    )
    Bundle.model_validate_json(json.dumps(found))
    assert ("entry" in found) is bool(count)


def test_the_capability_statement_is_that_of_r4() -> None:
    statement = capability_statement(NOW)
    assert statement["fhirVersion"] == "4.0.1"
    assert {resource["type"] for resource in statement["rest"][0]["resource"]} == {
        "Patient",
        "Encounter",
        "Observation",
    }


def test_an_outcome_names_place_and_rule() -> None:
    assert outcome([Issue("required", "is missing", "code")])["issue"] == [
        {"severity": "error", "code": "required", "diagnostics": "is missing", "expression": ["code"]}
    ]
