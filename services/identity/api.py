"""Enrolment of people, and the few questions other parties may ask about them."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import Field, SecretStr, StringConstraints

from services.common.audit import record_audit
from services.common.auth import Principal, require
from services.common.db import SessionDep
from services.common.idempotency import OnceDep
from services.common.openapi import problems
from services.common.problems import forbidden, not_found, unprocessable
from services.common.types import Body, Line, View
from services.identity.crypto import totp_uri
from services.identity.endpoints import StateDep
from services.identity.models import Person
from services.identity.people import NewPerson, enrol, new_password

router = APIRouter(tags=["people"])

# As much of RFC 5321 as can be checked without sending anything.
Email = Annotated[
    str,
    StringConstraints(
        max_length=254, pattern=r"^[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+$"
    ),
]
NewPassword = Annotated[
    SecretStr, Field(min_length=12, max_length=128, description="At least 12 characters (NIST SP 800-63B)")
]
# The only service that writes to people.
CONTACT_READERS = frozenset({"notification"})


class PatientRequest(Body):
    """A patient who registers themself."""

    given_name: Line = Field(examples=["Camille"])
    family_name: Line = Field(examples=["Exemple"])
    email: Email = Field(examples=["camille@example.org"])
    password: NewPassword = Field(examples=["correct horse battery"])
    birth_date: date | None = Field(default=None, examples=["1990-05-17"])


class PatientView(View):
    """The pseudonym that the platform knows the patient by."""

    id: uuid.UUID
    role: str


class PractitionerRequest(Body):
    """A practitioner whom an operator enrols."""

    given_name: Line
    family_name: Line
    email: Email = Field(examples=["dr.exemple@example.org"])
    speciality: Line = Field(default="General practice")
    password: NewPassword | None = Field(default=None, description="Generated when left out")


class PractitionerEnrolled(View):
    """What the practitioner needs to sign in; shown once."""

    id: uuid.UUID
    role: str
    initial_password: str | None = Field(description="Only when it was generated")
    totp_secret: str = Field(description="Base32, for an authenticator application")
    totp_uri: str = Field(description="otpauth: URI, for a QR code")


class PractitionerView(View):
    """A practitioner as in a directory."""

    id: uuid.UUID
    given_name: str
    family_name: str
    speciality: str


class ContactView(View):
    """Where to reach somebody."""

    id: uuid.UUID
    given_name: str
    email: str


@router.post("/v1/patients", status_code=201, response_model=PatientView)
def register_patient(body: PatientRequest, session: SessionDep, state: StateDep, once: OnceDep) -> Response:
    """Register as a patient. 409 when the address cannot be used."""

    def effect() -> PatientView:
        if body.birth_date is not None and body.birth_date > state.clock.now().date():
            raise unprocessable("The date of birth is in the future.", type="validation")
        enrolled = enrol(
            session,
            state,
            NewPerson(
                role="patient",
                given_name=body.given_name,
                family_name=body.family_name,
                email=body.email,
                password=body.password.get_secret_value(),
                birth_date=body.birth_date,
            ),
        )
        subject = str(enrolled.person.id)
        principal = Principal(subject, "patient")
        record_audit(session, principal, "patient.registered", f"people/{subject}", patient=subject)
        return PatientView.model_validate(enrolled.person)

    return once(effect)


@router.post("/v1/practitioners", status_code=201, response_model=PractitionerEnrolled)
def enrol_practitioner(
    body: PractitionerRequest,
    principal: Annotated[Principal, Depends(require(role="operator", scope="practitioners:enrol"))],
    session: SessionDep,
    state: StateDep,
    once: OnceDep,
) -> Response:
    """Enrol a practitioner with a second factor, whose secret is in this response and nowhere else."""

    def effect() -> PractitionerEnrolled:
        generated = new_password() if body.password is None else None
        enrolled = enrol(
            session,
            state,
            NewPerson(
                role="practitioner",
                given_name=body.given_name,
                family_name=body.family_name,
                email=body.email,
                password=generated or (body.password.get_secret_value() if body.password else ""),
                speciality=body.speciality,
            ),
        )
        record_audit(session, principal, "practitioner.enrolled", f"people/{enrolled.person.id}")
        return PractitionerEnrolled(
            id=enrolled.person.id,
            role=enrolled.person.role,
            initial_password=generated,
            totp_secret=enrolled.totp_secret,
            totp_uri=totp_uri(enrolled.totp_secret, enrolled.person.email),
        )

    return once(effect)


@router.get("/v1/practitioners/{subject}", responses=problems(404))
def read_practitioner(
    subject: uuid.UUID,
    _: Annotated[Principal, Depends(require(role={"patient", "practitioner", "service", "operator"}))],
    session: SessionDep,
) -> PractitionerView:
    """A practitioner's name and speciality, for whoever is signed in."""
    person = session.get(Person, subject)
    if person is None or person.role != "practitioner":
        raise not_found("practitioner")
    return PractitionerView.model_validate(person)


@router.get("/v1/contacts/{subject}", responses=problems(404))
def read_contact(
    subject: uuid.UUID,
    principal: Annotated[Principal, Depends(require(role="service"))],
    session: SessionDep,
) -> ContactView:
    """How to reach a person. For the notification service alone: it is the one that writes to people."""
    if principal.subject not in CONTACT_READERS:
        raise forbidden("Only the notification service may ask for this.")
    person = session.get(Person, subject)
    if person is None:
        raise not_found("person")
    return ContactView.model_validate(person)
