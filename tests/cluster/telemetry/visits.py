"""A patient's visits to every service, those that fail included; the platform must serve them and write none down."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.cluster.telemetry.seeds import Patient
from vitalops.consultation import before, people
from vitalops.consultation.http import Edge, bearer, fresh_key
from vitalops.consultation.people import Person
from vitalops.consultation.signin import Account, Application
from vitalops.consultation.walk import StepFailed
from vitalops.conventions import HEADER_IDEMPOTENCY_KEY, HEADER_REQUEST_ID

FHIR_TYPE = {"content-type": "application/fhir+json"}
SERVICES = (
    "identity",
    "scheduling",
    "consent",
    "records",
    "consultation",
    "prescription",
    "payment",
    "notification",
    "audit",
)


def _token(**content: object) -> str:
    """A token that nobody signed, with the patient's data where a careless client would put it."""

    def part(document: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")

    return f"{part({'alg': 'ES256', 'kid': 'unknown'})}.{part(content)}.c2lnbmF0dXJl"


@dataclass(slots=True)
class Visits:
    """What was asked, and how often each status was the answer."""

    patient: Patient
    edge: Edge
    statuses: Counter[int] = field(default_factory=Counter[int])

    async def send(
        self,
        method: str,
        path: str,
        token: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        edge: Edge | None = None,
        **more: Any,
    ) -> Any:
        cookie = {"cookie": f"remember={quote(self.patient.email)}; last={quote(self.patient.search)}"}
        sent = {**(bearer(token) if token else {}), **fresh_key(), **cookie, **(headers or {})}
        answer = await (edge or self.edge).send(method, path, headers=sent, **more)
        self.statuses[answer.status_code] += 1
        return answer

    async def register(self) -> Person:
        me = self.patient
        body = {
            "given_name": me.given_name,
            "family_name": me.family_name,
            "email": me.email,
            "password": me.password,
            "birth_date": me.birth_date,
        }
        made = await self.send("POST", "/identity/v1/patients", json=body)
        assert made.status_code == 201, made.text
        for wrong in (
            body,
            body | {"email": f"{me.email}@{me.search}"},
            body | {me.search: me.note},
            body | {"birth_date": me.phone},
            [me.email],
            me.note,
        ):
            await self.send("POST", "/identity/v1/patients", json=wrong)
        account = Account(me.email, me.password)
        application = Application(before.WEB_CLIENT, f"{self.edge.url}/callback", before.SCOPE)
        with suppress(StepFailed):
            wrong_password = Person("patient", Account(me.email, me.search), "")
            await people.let_in(self.edge, application, wrong_password)
        person = Person("patient", account, made.json()["id"])
        await people.let_in(self.edge, application, person)
        return person

    def resource(self, subject: str) -> dict[str, Any]:
        me = self.patient
        return {
            "resourceType": "Patient",
            "id": subject,
            "name": [{"family": me.family_name, "given": [me.given_name]}],
            "birthDate": me.birth_date,
            "telecom": [{"system": "phone", "value": me.phone}, {"system": "email", "value": me.email}],
            "identifier": [{"system": "urn:oid:1.2.250.1.213.1.4.8", "value": me.insurance_number}],
            "address": [{"line": [me.street], "city": "Paris"}],
        }

    async def keep_records(self, person: Person, doctor: Person, edge: Edge | None = None) -> None:
        """Writes and reads of the health record, right and wrong ones. A standby refuses all that write."""
        me, token, subject = self.patient, person.token, person.subject
        document = self.resource(subject)
        path = "/records/fhir/Patient"
        for _ in range(2):
            await self.send("POST", path, token, json=document, headers=FHIR_TYPE, edge=edge)
        for header in ({}, {"if-match": 'W/"99"'}, {"if-match": 'W/"1"'}):
            await self.send(
                "PUT", f"{path}/{subject}", token, json=document, headers=FHIR_TYPE | header, edge=edge
            )
        for wrong in (
            document | {"birthDate": me.search},
            document | {"gender": me.diagnosis},
            document | {me.search: me.note},
            {"resourceType": me.diagnosis},
        ):
            await self.send("POST", path, token, json=wrong, headers=FHIR_TYPE, edge=edge)
        reference = {"reference": f"Patient/{subject}"}
        encounter = {
            "resourceType": "Encounter",
            "status": "in-progress",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "VR"},
            "subject": reference,
        }
        observation = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "11488-4"}], "text": me.diagnosis},
            "subject": reference,
            "valueString": me.note,
        }
        for body in (encounter, observation, observation | {"status": me.note}):
            kind = body["resourceType"]
            await self.send(
                "POST", f"/records/fhir/{kind}", doctor.token, json=body, headers=FHIR_TYPE, edge=edge
            )
        for query in (
            {"patient": subject, "code": "http://loinc.org|11488-4"},
            {"name": me.family_name},
            {"patient": me.insurance_number},
            {"birthdate": me.birth_date, "email": me.email},
            {"_content": me.search, "phone": me.phone},
        ):
            for kind in ("Patient", "Observation"):
                await self.send("GET", f"/records/fhir/{kind}", token, params=query, edge=edge)

    async def ask_everybody(self, person: Person, edge: Edge | None = None) -> None:
        """Paths, queries, bodies and headers with the patient's data, at every service, with and without a token."""
        me, token = self.patient, person.token
        query = {"q": me.search, "email": me.email, "name": f"{me.given_name} {me.family_name}"}
        body = {"dosage": me.dosage, "note": me.note, "phone": me.phone, "born": me.birth_date}
        forged = _token(email=me.email, name=me.family_name, sub=me.insurance_number)
        for service in SERVICES:
            for path in (
                f"/{service}/v1/{quote(me.family_name)}/{quote(me.email)}",
                f"/{service}/v1/things/{me.insurance_number}",
                f"/{service}/v1/{me.birth_date}",
            ):
                await self.send("GET", path, token, params=query, edge=edge)
                await self.send("POST", path, token, json=body, edge=edge)
            for wrong in ("", me.email.split("@")[0], forged):
                await self.send("GET", f"/{service}/v1/me", wrong, params=query, edge=edge)
        for method, path in (
            ("GET", "/scheduling/v1/slots"),
            ("POST", "/scheduling/v1/slots"),
            ("POST", "/scheduling/v1/appointments"),
            ("POST", "/consent/v1/grants"),
            ("POST", "/consultation/v1/consultations"),
            ("POST", "/prescription/v1/prescriptions"),
            ("POST", "/prescription/v1/verify"),
            ("POST", "/payment/v1/payments"),
            ("POST", "/notification/v1/notifications"),
            ("GET", "/audit/v1/events"),
            ("POST", "/audit/v1/events"),
            ("POST", "/identity/oauth/token"),
            ("GET", "/identity/authorize"),
            ("POST", "/identity/login"),
        ):
            reading = method == "GET"
            more: dict[str, Any] = {"params": query} if reading else {"json": body, "params": query}
            await self.send(method, path, token, edge=edge, **more)
            if not reading:
                key = {HEADER_IDEMPOTENCY_KEY: me.phone}
                await self.send(method, path, token, json={"items": [body]}, headers=key, edge=edge)
        item = {"system": "ATC", "code": "N02BE01", "dosage": me.dosage, "quantity": 1}
        for code in ("N02BE01", me.diagnosis):
            wanted = {"consultation_id": str(uuid.uuid4()), "items": [item | {"code": code}]}
            await self.send("POST", "/prescription/v1/prescriptions", token, json=wanted, edge=edge)
        for path in ("/rtc", "/rtc/validate", "/rtc/v1", f"/nowhere/{quote(me.email)}"):
            await self.send("GET", path, params=query | {"access_token": forged}, edge=edge)

    async def sign(self, control: str, trace_id: str, person: Person) -> None:
        """A last request that can be found by its ids: what it finds shows that a seed would have been found."""
        headers = {
            HEADER_REQUEST_ID: control,
            "traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01",
        }
        await self.send(
            "GET",
            "/records/fhir/Observation",
            person.token,
            headers=headers,
            params={"patient": person.subject},
        )


async def visit(
    patient: Patient, url: str, standby: str, ca_file: Path, operator_secret: str, control: str, trace_id: str
) -> Counter[int]:
    """Everything of the above, at the active region and then at the standby's gateway; how it was answered."""
    told = {
        "user-agent": f"Browser of {patient.email}",
        "referer": f"{url}/search?name={quote(patient.family_name)}&born={patient.birth_date}",
    }
    edge = Edge.over_tls(url, ca_file, headers=told)
    other = Edge.over_tls(url, ca_file, via=standby, headers=told)
    visits = Visits(patient, edge)
    try:
        person = await visits.register()
        operator = await people.operator_token(edge, operator_secret)
        doctor = await people.enrol_practitioner(edge, operator)
        application = Application(before.WEB_CLIENT, f"{edge.url}/callback", before.SCOPE)
        await people.let_in(edge, application, doctor)
        for purpose in before.PURPOSES:
            grant = {"practitioner": doctor.subject, "purpose": purpose, "text_version": 1}
            await visits.send("POST", "/consent/v1/grants", person.token, json=grant)
        for each in (None, other):
            await visits.keep_records(person, doctor, each)
            await visits.ask_everybody(person, each)
        await visits.sign(control, trace_id, person)
        await asyncio.sleep(0)
    finally:
        await edge.aclose()
        await other.aclose()
    return visits.statuses
