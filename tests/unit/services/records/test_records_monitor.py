"""Remote monitors: what patients' devices may write, what raises an alert, and whom it reaches."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import select

from services.common.testing import FixedClock, TokenSigner
from services.common.traffic import HEADER_SYNTHETIC
from services.records.fhir import LOINC, InvalidResource, parse
from services.records.models import MonitorAlert
from services.records.monitor import (
    CAPILLARY_GLUCOSE,
    OXYGEN_SATURATION,
    Finding,
    Limits,
    finding_of,
    watched_code,
)
from services.records.service import SERVICE
from tests.unit.services.records.test_records_api import (
    DOCTOR,
    OTHER,
    OTHER_DOCTOR,
    PATIENT,
    encounter,
    issue,
    note,
)


def measured(
    value: float = 88, code: str = OXYGEN_SATURATION, unit: str = "%", **more: Any
) -> dict[str, Any]:
    quantity = {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
    made = note(code=code) | {"valueQuantity": quantity} | more
    return {key: each for key, each in made.items() if key != "valueString" and each is not None}


@pytest.fixture
def consents() -> set[str]:
    return {DOCTOR}


@pytest.fixture
def client(start: Any, platform: Any, consents: set[str]) -> Any:
    def decide(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"allowed": request.url.params["practitioner"] in consents})

    platform.answers["consent/v1/decisions"] = decide
    return start(SERVICE)


@pytest.fixture
def device(client: Any, signer: TokenSigner) -> Any:
    """`device(measurement)` sends it as the patient's monitor does."""

    def send(body: dict[str, Any], subject: str = PATIENT, **headers: str) -> Any:
        return client.post(
            "/fhir/Observation", json=body, headers=signer.headers("patient", subject) | headers
        )

    return send


@pytest.fixture
def visit(client: Any, signer: TokenSigner, consents: set[str]) -> Any:
    def write(doctor: str) -> None:
        before = doctor in consents
        consents.add(doctor)
        answer = client.post(
            "/fhir/Encounter", json=encounter(), headers=signer.headers("practitioner", doctor)
        )
        assert answer.status_code == 201
        if not before:
            consents.discard(doctor)

    return write


def alerts(client: Any) -> list[MonitorAlert]:
    with client.app.state.context.database.transaction() as session:
        return list(session.scalars(select(MonitorAlert).order_by(MonitorAlert.raised_at)))


def test_a_low_value_reaches_the_practitioner_without_saying_whose_or_what(
    client: Any, device: Any, visit: Any, platform: Any, clock: FixedClock
) -> None:
    visit(DOCTOR)
    sent = device(measured())
    assert sent.status_code == 201
    (alert,) = alerts(client)
    assert (alert.patient, alert.practitioner, alert.finding) == (PATIENT, DOCTOR, Finding.OXYGEN_LOW)
    assert alert.observation == sent.json()["id"]
    client.deliver()
    (message,) = platform.sent_to("notification/v1/notifications")
    assert message == {
        "subject": DOCTOR,
        "template": "monitor-alert",
        "reference": f"monitor-alerts/{alert.id}",
        "occurred_at": clock.now().isoformat(),
    }
    told = [event for event in platform.audit if event["action"] == "monitor.alert-raised"]
    assert [(event["patient"], event["detail"]) for event in told] == [(PATIENT, {"told": DOCTOR})]
    metrics = client.get("/metrics").text
    assert 'vitalops_monitor_alerts_total{outcome="raised",traffic="real"} 1.0' in metrics
    assert 'vitalops_monitor_alerts_total{outcome="raised",traffic="synthetic"} 0.0' in metrics


def test_a_measurement_sent_again_alerts_once(client: Any, device: Any, visit: Any) -> None:
    visit(DOCTOR)
    key = {"idempotency-key": "the-device-tries-again"}
    assert device(measured(), **key).json() == device(measured(), **key).json()
    assert len(alerts(client)) == 1


def test_synthetic_alerts_are_counted_apart_and_their_messages_marked(
    client: Any, device: Any, visit: Any, platform: Any
) -> None:
    visit(DOCTOR)
    marks: list[str | None] = []

    def take(request: httpx.Request) -> httpx.Response:
        marks.append(request.headers.get(HEADER_SYNTHETIC))
        return httpx.Response(201, json={})

    platform.answers["notification"] = take
    device(measured(), **{HEADER_SYNTHETIC: "1"})
    device(measured())
    client.deliver()
    assert sorted(marks, key=str) == ["1", None]
    metrics = client.get("/metrics").text
    for traffic in ("real", "synthetic"):
        assert f'vitalops_monitor_alerts_total{{outcome="raised",traffic="{traffic}"}} 1.0' in metrics


def test_what_is_within_its_limits_raises_nothing(client: Any, device: Any, visit: Any) -> None:
    visit(DOCTOR)
    assert device(measured(97)).status_code == 201
    assert device(measured(status="entered-in-error")).status_code == 201
    assert alerts(client) == []


def test_the_latest_practitioner_with_consent_is_told(
    client: Any, device: Any, visit: Any, clock: FixedClock, consents: set[str]
) -> None:
    visit(DOCTOR)
    clock.advance(hours=1)
    visit(OTHER_DOCTOR)
    device(measured())
    clock.advance(seconds=1)
    consents.add(OTHER_DOCTOR)
    device(measured())
    clock.advance(seconds=1)
    consents.clear()
    device(measured())
    assert [alert.practitioner for alert in alerts(client)] == [DOCTOR, OTHER_DOCTOR, ""]


def test_an_alert_for_nobody_is_kept_and_recorded(client: Any, device: Any, platform: Any) -> None:
    assert device(measured()).status_code == 201
    client.deliver()
    assert platform.sent_to("notification/v1/notifications") == []
    told = [event["detail"] for event in platform.audit if event["action"] == "monitor.alert-raised"]
    assert told == [{"told": "nobody"}]


def test_a_device_tries_again_where_it_cannot_be_known_whom_to_tell(
    client: Any, device: Any, visit: Any, platform: Any
) -> None:
    visit(DOCTOR)
    platform.answers["consent/v1/decisions"] = lambda _: httpx.Response(503)
    assert device(measured()).status_code == 503
    assert alerts(client) == []


def test_patients_write_nothing_but_their_own_monitors_measurements(client: Any, device: Any) -> None:
    assert issue(device(note())) == "forbidden"
    assert issue(device(measured(), OTHER)) == "not-found"
    assert issue(device(measured(code="8867-4", unit="/min"))) == "forbidden"
    assert alerts(client) == []


@pytest.mark.parametrize(
    "body",
    [
        measured(unit="mmHg"),
        measured(101),
        measured(-1),
        measured(valueQuantity=None),
        measured(valueQuantity={"value": 90, "comparator": "<", "code": "%"}),
    ],
)
def test_a_measurement_that_cannot_be_judged_is_refused(device: Any, body: dict[str, Any]) -> None:
    assert device(body).status_code == 422


def test_what_a_practitioner_measures_alerts_nobody(client: Any, signer: TokenSigner) -> None:
    answer = client.post("/fhir/Observation", json=measured(), headers=signer.headers("practitioner", DOCTOR))
    assert answer.status_code == 201
    assert alerts(client) == []


@pytest.mark.parametrize(
    ("value", "code", "unit", "finding"),
    [
        (92, OXYGEN_SATURATION, "%", Finding.OXYGEN_LOW),
        (93, OXYGEN_SATURATION, "%", None),
        (100, OXYGEN_SATURATION, "%", None),
        (69, CAPILLARY_GLUCOSE, "mg/dL", Finding.GLUCOSE_LOW),
        (70, CAPILLARY_GLUCOSE, "mg/dL", None),
        (250, CAPILLARY_GLUCOSE, "mg/dL", None),
        (251, CAPILLARY_GLUCOSE, "mg/dL", Finding.GLUCOSE_HIGH),
        (3.8, CAPILLARY_GLUCOSE, "mmol/L", Finding.GLUCOSE_LOW),
        (5.5, CAPILLARY_GLUCOSE, "mmol/L", None),
        (14, CAPILLARY_GLUCOSE, "mmol/L", Finding.GLUCOSE_HIGH),
    ],
)
def test_limits(value: float, code: str, unit: str, finding: Finding | None) -> None:
    resource = parse(
        "Observation", httpx.Request("POST", "http://x", json=measured(value, code, unit)).content
    )
    assert watched_code(resource) == code
    assert finding_of(resource) is finding


def test_other_systems_codes_are_not_watched() -> None:
    body = measured()
    assert body["code"]["coding"][0]["system"] == LOINC
    body["code"]["coding"][0]["system"] = "http://example.org/own"
    resource = parse("Observation", httpx.Request("POST", "http://x", json=body).content)
    assert watched_code(resource) == ""


def test_a_value_in_an_unknown_unit_has_no_finding() -> None:
    resource = parse("Observation", httpx.Request("POST", "http://x", json=measured(unit="kPa")).content)
    with pytest.raises(InvalidResource):
        finding_of(resource)


def set_limits(
    client: Any, signer: TokenSigner, limits: dict[str, Any], doctor: str = DOCTOR, **more: str
) -> Any:
    path = f"/v1/patients/{more.get('patient', PATIENT)}/monitor-limits/{more.get('code', OXYGEN_SATURATION)}"
    return client.put(path, json=limits, headers=signer.headers("practitioner", doctor))


def test_a_patients_own_limits_hold_in_place_of_everybodys(
    client: Any, device: Any, signer: TokenSigner, platform: Any
) -> None:
    answer = set_limits(client, signer, {"low": 88, "high": None})
    assert (answer.status_code, answer.json()["own"], answer.json()["unit"]) == (200, True, "%")
    assert set_limits(client, signer, {"low": 86, "high": None}).json()["low"] == 86
    device(measured(86))
    assert alerts(client) == []
    device(measured(85))
    assert len(alerts(client)) == 1
    own = client.get(f"/v1/patients/{PATIENT}/monitor-limits", headers=signer.headers("patient", PATIENT))
    assert [(each["code"], each["low"], each["own"]) for each in own.json()["limits"]] == [
        (OXYGEN_SATURATION, 86, True),
        (CAPILLARY_GLUCOSE, 70, False),
    ]
    client.deliver()
    told = [event for event in platform.audit if event["action"] == "monitor.limits-set"]
    assert [(event["actor"], event["patient"]) for event in told] == [(DOCTOR, PATIENT)] * 2


def test_limits_are_set_by_practitioners_with_consent_and_make_sense(
    client: Any, signer: TokenSigner, consents: set[str]
) -> None:
    fine = {"low": 88, "high": None}
    assert set_limits(client, signer, fine, OTHER_DOCTOR).status_code == 403
    assert set_limits(client, signer, fine, code="8867-4").status_code == 404
    for wrong in ({"low": 90, "high": 80}, {"low": 101, "high": None}, {"low": -1, "high": None}, {}):
        assert set_limits(client, signer, wrong).status_code == 422
    path = f"/v1/patients/{PATIENT}/monitor-limits"
    mine = signer.headers("patient", PATIENT)
    assert client.put(f"{path}/{OXYGEN_SATURATION}", json=fine, headers=mine).status_code == 403
    assert client.get(path, headers=signer.headers("patient", OTHER)).status_code == 404
    assert client.get(path, headers=signer.headers("practitioner", OTHER_DOCTOR)).status_code == 403
    consents.clear()
    assert set_limits(client, signer, fine).status_code == 403


def test_no_limit_is_no_finding() -> None:
    for low, high in ((None, None), (None, 100), (80, None)):
        resource = parse("Observation", httpx.Request("POST", "http://x", json=measured(88)).content)
        assert finding_of(resource, Limits(low, high)) is None
