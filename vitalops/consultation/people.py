"""The people of a walk: made up for the occasion, and recognisable as such."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

from vitalops.consultation.http import Edge, Partial, bearer, fresh_key, read
from vitalops.consultation.signin import Account, Application, Tokens, sign_in
from vitalops.conventions import OPERATOR_CLIENT

SYNTHETIC_DOMAIN = "example.invalid"
"""RFC 2606: mail to it goes nowhere, and nobody real can have an address there."""
SYNTHETIC_FAMILY_NAME = "Synthetic-Verification"
SPECIALITY = "Synthetic verification"


@dataclass(slots=True)
class Person:
    """Somebody with an account. `subject` is the pseudonym by which every service knows them."""

    role: str
    account: Account
    subject: str
    tokens: Tokens | None = field(default=None, repr=False)

    @property
    def token(self) -> str:
        """The access token. Only for somebody who has signed in."""
        assert self.tokens is not None, f"the {self.role} has not signed in"
        return self.tokens.access_token


class _Registered(Partial):
    id: str


class _Enrolled(Partial):
    id: str
    totp_secret: str


def _fresh_account(role: str) -> tuple[str, str]:
    return f"verify-{role}-{secrets.token_hex(6)}@{SYNTHETIC_DOMAIN}", secrets.token_urlsafe(18)


async def operator_token(edge: Edge, secret: str, client: str = OPERATOR_CLIENT) -> str:
    """A token with the operator's role, by client credentials (RFC 6749, section 4.4)."""
    form = {
        "grant_type": "client_credentials",
        "client_id": client,
        "client_secret": secret,
    }
    return read(Tokens, await edge.ask("POST", "/identity/oauth/token", form=form)).access_token


async def register_patient(edge: Edge) -> Person:
    """A new patient, who registers as anybody may."""
    email, password = _fresh_account("patient")
    body = {
        "given_name": "Patient",
        "family_name": SYNTHETIC_FAMILY_NAME,
        "email": email,
        "password": password,
    }
    path = "/identity/v1/patients"
    answer = read(_Registered, await edge.ask("POST", path, expect=(201,), headers=fresh_key(), json=body))
    return Person("patient", Account(email, password), answer.id)


async def enrol_practitioner(edge: Edge, operator: str) -> Person:
    """A new practitioner, whom the operator enrols with a second factor."""
    email, password = _fresh_account("practitioner")
    body = {
        "given_name": "Practitioner",
        "family_name": SYNTHETIC_FAMILY_NAME,
        "email": email,
        "speciality": SPECIALITY,
        "password": password,
    }
    headers = bearer(operator) | fresh_key()
    path = "/identity/v1/practitioners"
    answer = read(_Enrolled, await edge.ask("POST", path, expect=(201,), headers=headers, json=body))
    return Person("practitioner", Account(email, password, answer.totp_secret), answer.id)


async def let_in(edge: Edge, application: Application, person: Person) -> None:
    """Signs `person` in through the provider's pages."""
    person.tokens = await sign_in(edge, application, person.account, time.time())
