"""The ledger's people: each pair of them has had a consultation, so that notes and prescriptions may be written."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx

from vitalops.consultation import before
from vitalops.consultation.afterwards import PARACETAMOL
from vitalops.consultation.call import ProcessCall
from vitalops.consultation.http import Edge, Partial, bearer, trust
from vitalops.consultation.people import Person, let_in
from vitalops.consultation.record import CONSULT_NOTE, FHIR, FHIR_TYPE, LOINC
from vitalops.consultation.signin import Account
from vitalops.consultation.state import Walk
from vitalops.consultation.walk import StepFailed, run
from vitalops.conventions import HEADER_IDEMPOTENCY_KEY, HEADER_SYNTHETIC, OPERATOR_CLIENT
from vitalops.errors import RemoteError, UsageError
from vitalops.ledger.entries import Found, Kind, content, number_in
from vitalops.ledger.writer import Reply
from vitalops.prober.regulars import Regulars
from vitalops.prober.steps import CALL_SECONDS, probe_steps
from vitalops.secretstore import SecretStore

ATTEMPT_SECONDS: Final = 2.0
"""For an answer to one attempt."""
TOKEN_SECONDS: Final = 600.0
"""A token is renewed when it is older; it lives for 15 minutes."""
RENEW_SECONDS: Final = 5.0
PAGE: Final = 200
PRESCRIPTIONS: Final = "/prescription/v1/prescriptions"
REGION_HEADER: Final = "x-vitalops-region"
SYNTHETIC: Final = {HEADER_SYNTHETIC: "1", "user-agent": "vitalops-ledger"}


class Hasty(httpx.AsyncBaseTransport):
    """Gives every attempt the same short time: whoever writes on must not wait for a region that is gone."""

    def __init__(self, transport: httpx.AsyncBaseTransport, seconds: float) -> None:
        self._transport = transport
        self._limits = dict.fromkeys(("connect", "read", "write", "pool"), seconds)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["timeout"] = self._limits
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        await self._transport.aclose()


def hasty_edge(url: str, ca_file: Path, seconds: float = ATTEMPT_SECONDS) -> Edge:
    limits = httpx.Limits(max_connections=50, max_keepalive_connections=20)
    transport = httpx.AsyncHTTPTransport(verify=trust(ca_file), limits=limits)
    return Edge(url, Hasty(transport, seconds), headers=SYNTHETIC)


@dataclass(slots=True)
class LedgerAuthor:
    """`vitalops.ledger.writer.Author` through a pair's edge."""

    ledger: str
    edge: Edge
    patient: Person
    practitioner: Person
    consultation: str
    encounter: str
    signed_in: float
    """Monotonic."""
    _renewing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def subject(self) -> str:
        return self.patient.subject

    async def write(self, kind: Kind, number: int, key: str) -> Reply:
        path, body, more = self._request(kind, content(self.ledger, number))
        headers = bearer(self.practitioner.token) | {HEADER_IDEMPOTENCY_KEY: key} | more
        try:
            async with asyncio.timeout(2 * ATTEMPT_SECONDS):
                response = await self.edge.send("POST", path, headers=headers, json=body)
        except (StepFailed, TimeoutError, httpx.HTTPError):
            return Reply(0)
        region = str(response.headers.get(REGION_HEADER, ""))
        made = ""
        if response.is_success:
            with contextlib.suppress(ValueError, AttributeError):
                made = str(response.json().get("id", ""))
        return Reply(response.status_code, made, region)

    def _request(self, kind: Kind, text: str) -> tuple[str, dict[str, Any], dict[str, str]]:
        if kind is Kind.PRESCRIPTION:
            item = {"system": "ATC", "code": PARACETAMOL, "dosage": text, "quantity": 1}
            return PRESCRIPTIONS, {"consultation_id": self.consultation, "items": [item]}, {}
        note = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": LOINC, "code": CONSULT_NOTE, "display": "Consult note"}]},
            "subject": {"reference": f"Patient/{self.patient.subject}"},
            "encounter": {"reference": f"Encounter/{self.encounter}"},
            "valueString": text,
        }
        return f"{FHIR}/Observation", note, {"content-type": FHIR_TYPE}

    async def renew(self) -> None:
        """Sign in again where the tokens are old. Where that fails those that are valid go on being used."""
        if self._renewing.locked() or time.monotonic() - self.signed_in < TOKEN_SECONDS:
            return
        async with self._renewing:
            with contextlib.suppress(StepFailed, TimeoutError, httpx.HTTPError):
                async with asyncio.timeout(RENEW_SECONDS):
                    await sign_in(self.edge, self.patient, self.practitioner)
                self.signed_in = time.monotonic()


async def sign_in(edge: Edge, *persons: Person) -> None:
    """Raises StepFailed where somebody does not get in."""
    application = before.Application(before.WEB_CLIENT, f"{edge.url}/callback", before.SCOPE)
    for person in persons:
        await let_in(edge, application, person)


async def introduce(ledger: str, edge: Edge, patient_edge: Edge, ca_file: Path, secret: str) -> LedgerAuthor:
    """Two new people and their consultation. `patient_edge` waits as long as people do; `edge` is written through.

    Raises RemoteError where the consultation does not come about.
    """
    regulars = Regulars()
    async with ProcessCall(ca_file) as call:
        walk = Walk(patient_edge, call, CALL_SECONDS, secret)
        result = await run(probe_steps(regulars, OPERATOR_CLIENT), walk)
    if result.failure is not None:
        raise RemoteError(
            f"the ledger's people have no consultation: '{result.failure.name}': {result.failure.detail}",
            hint="vitalops verify shows what is wrong",
        )
    return LedgerAuthor(
        ledger,
        edge,
        walk.patient,
        walk.practitioner,
        walk.consultation_id,
        regulars.encounter,
        time.monotonic(),
    )


class _Item(Partial):
    dosage: str


class _Prescription(Partial):
    id: str
    items: tuple[_Item, ...]
    issued_at: datetime


class _Prescriptions(Partial):
    prescriptions: tuple[_Prescription, ...]


class _Meta(Partial):
    lastUpdated: datetime


class _Note(Partial):
    id: str
    meta: _Meta
    valueString: str | None = None


class _Entry(Partial):
    resource: _Note


class _Bundle(Partial):
    total: int
    entry: tuple[_Entry, ...] = ()


async def read_back(ledger: str, edge: Edge, patient: Person) -> list[Found]:
    """Every write of this ledger that the patient finds. Raises StepFailed where it cannot be read."""
    found: list[Found] = []
    listed = await edge.get(_Prescriptions, PRESCRIPTIONS, patient.token, {"limit": str(PAGE)})
    for each in listed.prescriptions:
        number = number_in(each.items[0].dosage, ledger) if each.items else None
        if number is not None:
            at = each.issued_at.timestamp()
            found.append(Found(Kind.PRESCRIPTION, patient.subject, number, each.id, at))
    offset, total = 0, 1
    while offset < total:
        query = {"patient": patient.subject, "code": f"{LOINC}|{CONSULT_NOTE}"}
        query |= {"_count": str(PAGE), "_offset": str(offset)}
        page = await edge.get(_Bundle, f"{FHIR}/Observation", patient.token, query)
        for entry in page.entry:
            number = number_in(entry.resource.valueString or "", ledger)
            if number is not None:
                at = entry.resource.meta.lastUpdated.timestamp()
                found.append(Found(Kind.NOTE, patient.subject, number, entry.resource.id, at))
        offset, total = offset + PAGE, page.total
    return found


def keep(store: SecretStore, pair: str, ledger: str, patients: list[Person]) -> None:
    """The patients' accounts, so that a later command can read back what was written for them."""
    accounts = [
        {"email": each.account.email, "password": each.account.password, "subject": each.subject}
        for each in patients
    ]
    store.replace(_secret(pair, ledger), json.dumps(accounts))


def kept(store: SecretStore, pair: str, ledger: str) -> list[Person]:
    """Raises UsageError where this machine does not know them."""
    text = store.get(_secret(pair, ledger))
    if text is None:
        raise UsageError(
            f"the people of ledger {ledger} are not known here", hint="check it where it was run"
        )
    return [
        Person("patient", Account(each["email"], each["password"]), each["subject"])
        for each in json.loads(text)
    ]


def _secret(pair: str, ledger: str) -> str:
    return f"{pair}/ledgers/{ledger}"
