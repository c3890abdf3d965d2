"""FHIR over HTTP: versions, search, OperationOutcomes, consent, and who sees what."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx
import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome

from services.common.testing import TokenSigner, assert_migrations_match
from services.records.fhir import CONSULT_NOTE, LOINC
from services.records.service import SERVICE

PATIENT, OTHER, DOCTOR, OTHER_DOCTOR = (str(uuid.uuid4()) for _ in range(4))


@pytest.fixture
def client(start: Any, platform: Any) -> Any:
    def decide(request: httpx.Request) -> httpx.Response:
        asked = request.url.params
        allowed = (asked["patient"], asked["practitioner"], asked["purpose"]) == (PATIENT, DOCTOR, "care")
        return httpx.Response(200, json={"allowed": allowed})

    platform.answers["consent/v1/decisions"] = decide
    return start(SERVICE)


@pytest.fixture
def doctor(signer: TokenSigner) -> Any:
    return lambda: signer.headers("practitioner", DOCTOR)


@pytest.fixture
def patient(signer: TokenSigner) -> Any:
    return lambda: signer.headers("patient", PATIENT)


def encounter(patient: str = PATIENT) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "VR"},
        "subject": {"reference": f"Patient/{patient}"},
    }


def note(text: str = "Rest and fluids.", code: str = CONSULT_NOTE, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": f"Patient/{PATIENT}"},
        "valueString": text,
    } | more


def issue(response: Any) -> str:
    assert response.headers["content-type"] == "application/fhir+json"
    OperationOutcome.model_validate_json(response.text)
    return response.json()["issue"][0]["code"]


def test_migrations_make_the_models_tables(tmp_path: Any) -> None:
    assert_migrations_match(SERVICE, tmp_path)


def test_the_capability_statement_needs_no_token(client: Any) -> None:
    answer = client.get("/fhir/metadata")
    assert answer.headers["content-type"] == "application/fhir+json"
    CapabilityStatement.model_validate_json(answer.text)


def test_a_note_is_written_to_an_encounter_and_found_by_the_patient(
    client: Any, doctor: Any, patient: Any
) -> None:
    visit = client.post("/fhir/Encounter", json=encounter(), headers=doctor())
    assert visit.status_code == 201
    about = {"encounter": {"reference": f"Encounter/{visit.json()['id']}"}}
    written = client.post("/fhir/Observation", json=note(**about), headers=doctor())
    assert (written.status_code, written.headers["etag"]) == (201, 'W/"1"')
    assert written.headers["location"] == f"/records/fhir/Observation/{written.json()['id']}/_history/1"
    found = client.get(
        "/fhir/Observation",
        params={"code": f"{LOINC}|{CONSULT_NOTE}", "encounter": visit.json()["id"]},
        headers=patient(),
    )
    Bundle.model_validate_json(found.text)
    assert found.json()["total"] == 1
    assert found.json()["entry"][0]["resource"]["valueString"] == "Rest and fluids."


def test_a_patient_registers_once_and_corrects_with_the_version_seen(client: Any, patient: Any) -> None:
    me = {
        "resourceType": "Patient",
        "name": [{"family": "Durand", "given": ["Ada"]}],
        "birthDate": "1990-01-01",
    }
    made = client.post("/fhir/Patient", json=me, headers=patient())
    assert (made.status_code, made.json()["id"]) == (201, PATIENT)
    assert issue(client.post("/fhir/Patient", json=me, headers=patient())) == "conflict"
    path, changed = f"/fhir/Patient/{PATIENT}", me | {"birthDate": "1990-01-02"}
    assert client.put(path, json=changed, headers=patient()).status_code == 428
    updated = client.put(path, json=changed, headers=patient() | {"if-match": 'W/"1"'})
    assert (updated.status_code, updated.headers["etag"], updated.json()["birthDate"]) == (
        200,
        'W/"2"',
        "1990-01-02",
    )
    late = client.put(path, json=me, headers=patient() | {"if-match": 'W/"1"'})
    assert (late.status_code, issue(late)) == (412, "conflict")
    first = client.get(f"{path}/_history/1", headers=patient()).json()
    assert (first["birthDate"], first["meta"]["versionId"]) == ("1990-01-01", "1")
    assert client.get(f"{path}/_history/3", headers=patient()).status_code == 404


def test_a_resource_does_not_move_to_another_patient(client: Any, doctor: Any) -> None:
    made = client.post("/fhir/Observation", json=note(), headers=doctor()).json()
    path, match = f"/fhir/Observation/{made['id']}", {"if-match": 'W/"1"'}
    moved = note(subject={"reference": f"Patient/{OTHER}"})
    assert client.put(path, json=moved, headers=doctor() | match).status_code == 422
    assert client.put(path, json=note(id="another"), headers=doctor() | match).status_code == 422
    assert client.put(path, json=note("Better."), headers=doctor() | match).json()["valueString"] == "Better."


def test_an_observation_belongs_to_an_encounter_of_its_patient(client: Any, doctor: Any) -> None:
    refused = client.post(
        "/fhir/Observation", json=note(encounter={"reference": "Encounter/none"}), headers=doctor()
    )
    assert (refused.status_code, issue(refused)) == (422, "processing")


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, 3),
        ({"code": "59408-5"}, 2),
        ({"code": f"{LOINC}|59408-5,{LOINC}|{CONSULT_NOTE}"}, 3),
        ({"code": "http://snomed.info/sct|59408-5"}, 0),
        ({"patient": PATIENT}, 3),
        ({"subject": f"Patient/{PATIENT}"}, 3),
        ({"encounter": "none"}, 0),
    ],
)
def test_search_finds_what_was_asked_for(
    client: Any, doctor: Any, patient: Any, parameters: dict[str, str], expected: int
) -> None:
    for code in (CONSULT_NOTE, "59408-5", "59408-5"):
        client.post("/fhir/Observation", json=note(code=code), headers=doctor())
    assert client.get("/fhir/Observation", params=parameters, headers=patient()).json()["total"] == expected


def test_search_gives_pages(client: Any, doctor: Any, patient: Any) -> None:
    for _ in range(3):
        client.post("/fhir/Observation", json=note(), headers=doctor())
    seen: list[str] = []
    path = "/fhir/Observation?_count=2"
    for _ in range(2):
        page = client.get(path, headers=patient()).json()
        seen += [entry["resource"]["id"] for entry in page["entry"]]
        links = {link["relation"]: link["url"] for link in page["link"]}
        path = links.get("next", "").split("/records", 1)[-1]
    assert len(set(seen)) == 3
    assert path == ""


@pytest.mark.parametrize("query", ["name=Durand", "patient=../x", "code=%7C", "_sort=date", "encounter=a b"])
def test_a_search_that_is_not_understood_is_refused(client: Any, patient: Any, query: str) -> None:
    refused = client.get(f"/fhir/Observation?{query}", headers=patient())
    assert (refused.status_code, issue(refused)) == (400, "invalid")


def test_a_code_in_a_patient_search_is_refused(client: Any, patient: Any) -> None:
    assert client.get("/fhir/Patient?code=1", headers=patient()).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("GET", "/fhir/Observation/none", None, "not-found"),
        ("GET", "/fhir/Medication/1", None, "invalid"),
        ("GET", "/fhir/Observation/a~b", None, "invalid"),
        ("POST", "/fhir/Observation", note(status="nonsense status with spaces "), "invalid"),
        ("POST", "/fhir/Observation", note(surprise="Durand"), "invalid"),
        ("POST", "/fhir/Observation", encounter(), "structure"),
        ("POST", "/fhir/Patient", {"resourceType": "Patient"}, "forbidden"),
    ],
)
def test_every_refusal_is_an_operation_outcome(
    client: Any, doctor: Any, method: str, path: str, body: Any, code: str
) -> None:
    refused = client.request(method, path, json=body, headers=doctor())
    assert 400 <= refused.status_code < 500
    assert issue(refused) == code
    assert "Durand" not in refused.text


def test_without_a_token_nothing_is_shown(client: Any) -> None:
    refused = client.get(f"/fhir/Patient/{PATIENT}")
    assert (refused.status_code, issue(refused)) == (401, "login")
    assert refused.headers["www-authenticate"].startswith("Bearer")


def test_a_repeated_create_is_the_same_resource(client: Any, signer: TokenSigner) -> None:
    headers = signer.headers("practitioner", DOCTOR, key="note-00000001")
    first, second = (client.post("/fhir/Observation", json=note(), headers=headers) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["content-type"] == "application/fhir+json"
    other = client.post("/fhir/Observation", json=note("Another text."), headers=headers)
    assert (other.status_code, issue(other)) == (422, "processing")


def test_strangers_see_and_write_nothing(
    client: Any, signer: TokenSigner, doctor: Any, patient: Any, platform: Any
) -> None:
    client.post("/fhir/Patient", json={"resourceType": "Patient"}, headers=patient())
    made = client.post("/fhir/Observation", json=note(), headers=doctor()).json()["id"]
    places = [
        f"/fhir/Patient/{PATIENT}",
        f"/fhir/Patient/{PATIENT}/_history/1",
        f"/fhir/Observation/{made}",
        f"/fhir/Observation/{made}/_history/1",
        f"/fhir/Observation?patient={PATIENT}",
        f"/fhir/Encounter?subject=Patient/{PATIENT}",
        f"/fhir/Patient?_id={PATIENT}",
    ]
    for place in places:
        for role, subject, status in (("patient", OTHER, 404), ("practitioner", OTHER_DOCTOR, 403)):
            refused = client.get(place, headers=signer.headers(role, subject))
            assert refused.status_code == status, place
            assert issue(refused) in ("not-found", "forbidden")
        for headers in (patient(), doctor()):
            assert client.get(place, headers=headers).status_code == 200, place
        for role in ("service", "operator"):
            assert client.get(place, headers=signer.headers(role)).status_code == 403
    assert client.get("/fhir/Observation", headers=signer.headers("patient", OTHER)).json()["total"] == 0
    for role, subject in (("patient", PATIENT), ("patient", OTHER), ("practitioner", OTHER_DOCTOR)):
        for path in ("/fhir/Observation", "/fhir/Encounter"):
            body = note() if path.endswith("Observation") else encounter()
            assert client.post(path, json=body, headers=signer.headers(role, subject)).status_code == 403
    client.deliver()
    denied = [event for event in platform.audit if event["outcome"] == "denied"]
    assert {event["actor"] for event in denied} == {OTHER, OTHER_DOCTOR}
    reads = [
        event
        for event in platform.audit
        if event["action"] == "record.read" and event["outcome"] == "success"
    ]
    assert len(reads) == 2 * len(places) + 1
    assert "Rest and fluids" not in json.dumps(platform.messages)


def test_an_operation_documents_its_outcomes_as_fhir(client: Any) -> None:
    document = client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status in ("401", "404", "422"):
                if path.startswith("/fhir/") and path != "/fhir/metadata":
                    assert "application/fhir+json" in operation["responses"][status]["content"], (
                        path,
                        status,
                    )
