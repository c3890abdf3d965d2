"""Enrolment and sign-in of people."""

from __future__ import annotations

import secrets
import unicodedata
import uuid
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.common.problems import conflict
from services.identity.crypto import matching_step, new_totp_secret
from services.identity.models import Person
from services.identity.state import IdentityState


@dataclass(frozen=True, slots=True)
class NewPerson:
    """What is known of somebody at enrolment."""

    role: Literal["patient", "practitioner"]
    given_name: str
    family_name: str
    email: str
    password: str = field(repr=False)
    birth_date: date | None = None
    speciality: str = ""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A stored person, and the second factor's secret, which is shown this once."""

    person: Person
    totp_secret: str = field(default="", repr=False)


def normal_email(email: str) -> str:
    """One spelling for one address: NFKC, lower case, no surrounding space."""
    return unicodedata.normalize("NFKC", email).strip().lower()


def new_password() -> str:
    """An initial password of 120 random bits."""
    return secrets.token_urlsafe(15)


def enrol(session: Session, state: IdentityState, new: NewPerson) -> Enrolled:
    """Store a person; practitioners get a second factor. Raises ProblemError 409 for a known address."""
    email = normal_email(new.email)
    if session.scalar(select(Person.id).where(Person.email == email)) is not None:
        raise conflict("This address cannot be enrolled.", type="address-unavailable")
    identifier = uuid.uuid4()
    secret = new_totp_secret() if new.role == "practitioner" else ""
    person = Person(
        id=identifier,
        role=new.role,
        given_name=new.given_name,
        family_name=new.family_name,
        email=email,
        birth_date=new.birth_date,
        speciality=new.speciality,
        password_hash=state.passwords.hash(new.password),
        totp_sealed=state.cipher.seal(secret, owner=str(identifier)) if secret else None,
        totp_last_step=0,
        created_at=state.clock.now(),
    )
    session.add(person)
    session.flush()
    return Enrolled(person, secret)


def check_password(session: Session, state: IdentityState, email: str, password: str) -> Person | None:
    """The person with this address and password, or None; as slow for an unknown address."""
    person = session.scalar(select(Person).where(Person.email == normal_email(email)))
    fits = state.passwords.verify(person.password_hash if person else None, password)
    return person if fits else None


def check_totp(session: Session, state: IdentityState, person: Person, code: str) -> bool:
    """Whether the code is right now and unused; uses it up."""
    if person.totp_sealed is None:
        return False
    # Locked, so that two requests cannot use one code.
    session.refresh(person, with_for_update=True)
    secret = state.cipher.open(person.totp_sealed, owner=str(person.id))
    step = matching_step(secret, code, state.clock.now(), last_step=person.totp_last_step)
    if step is None:
        return False
    person.totp_last_step = step
    session.flush()
    return True
