"""The sign-in in the browser: authorization request, password, second factor, back to the client with a code."""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Any

from authlib.common.urls import add_params_to_uri
from authlib.oauth2 import OAuth2Error
from fastapi import APIRouter, Cookie, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.orm import Session
from starlette.datastructures import Headers

from services.common.audit import record_audit
from services.common.auth import Principal
from services.common.db import SessionDep
from services.identity import pages, throttle
from services.identity.crypto import new_token, token_digest
from services.identity.endpoints import StateDep
from services.identity.forms import FormDep, field_of
from services.identity.models import Interaction, Person
from services.identity.oauth import FormRequest, Protocol, SignedIn, form_request
from services.identity.people import check_password, check_totp, normal_email
from services.identity.state import INTERACTION_LIFETIME, IdentityState

router = APIRouter(include_in_schema=False)

COOKIE = "__Secure-vitalops-signin"
_EXPIRED = "This sign-in has expired. Go back to the application and start again."
_WRONG = "The e-mail address or the password is not right."
_WRONG_CODE = "The code is not right, or was used already."

CookieDep = Annotated[str, Cookie(alias=COOKIE)]


@router.get("/authorize")
def authorize(request: Request, session: SessionDep, state: StateDep) -> Response:
    """Check the authorization request and show the first form."""
    pairs = request.query_params.multi_items()
    protocol: Any = Protocol(session, state)
    asked = form_request(state, "GET", "/authorize", pairs, Headers())
    try:
        grant = protocol.get_consent_grant(asked)
    except OAuth2Error as error:
        return _refusal(protocol, asked, error)
    except ValueError:
        return pages.error_page("The request cannot be read.")
    if "none" in asked.payload.data.get("prompt", "").split():
        back = {"error": "login_required"}
        if asked.payload.state:
            back["state"] = asked.payload.state
        return _redirect(_with_query(grant.redirect_uri, back | {"iss": state.issuer}))
    secret = new_token()
    session.add(
        Interaction(
            id=token_digest(secret),
            parameters={"pairs": [list(pair) for pair in pairs], "redirect_uri": grant.redirect_uri},
            person_id=None,
            expires_at=state.clock.now() + INTERACTION_LIFETIME,
        )
    )
    session.flush()
    response: Response = _login(request, secret, grant.redirect_uri)
    response.set_cookie(
        COOKIE,
        secret,
        max_age=int(INTERACTION_LIFETIME.total_seconds()),
        path=_prefix(request) or "/",
        secure=True,
        httponly=True,
        samesite="lax",
    )
    return response


@router.post("/login")
def login(
    request: Request, pairs: FormDep, session: SessionDep, state: StateDep, secret: CookieDep = ""
) -> Response:
    """Check address and password; on to the second factor or back to the client."""
    interaction = _interaction(session, state, secret, field_of(pairs, "csrf"))
    if interaction is None or interaction.person_id is not None:
        return pages.error_page(_EXPIRED)
    email = normal_email(field_of(pairs, "email"))
    redirect_uri = interaction.parameters["redirect_uri"]
    key = state.cipher.pseudonym(f"password {email}")
    wait = throttle.seconds_locked(session, key, state.clock.now())
    if wait:
        return _login(request, secret, redirect_uri, _locked(wait), status=429, retry_after=wait)
    person = check_password(session, state, email, field_of(pairs, "password"))
    if person is None:
        throttle.record_failure(session, key, state.clock.now())
        record_audit(session, None, "signin.refused", "signin", outcome="denied", detail={"step": "password"})
        return _login(request, secret, redirect_uri, _WRONG, status=403)
    throttle.record_success(session, key)
    if person.role == "practitioner":
        interaction.person_id = person.id
        session.flush()
        return _redirect(f"{_prefix(request)}/mfa")
    return _complete(request, session, state, interaction, person, ("pwd",))


@router.get("/mfa")
def mfa_form(request: Request, session: SessionDep, state: StateDep, secret: CookieDep = "") -> Response:
    """Show the form of the second factor."""
    interaction = _interaction(session, state, secret, _csrf(secret))
    if interaction is None or interaction.person_id is None:
        return pages.error_page(_EXPIRED)
    return _mfa(request, secret, interaction.parameters["redirect_uri"])


@router.post("/mfa")
def mfa(
    request: Request, pairs: FormDep, session: SessionDep, state: StateDep, secret: CookieDep = ""
) -> Response:
    """Check the second factor and send the person back to the client."""
    interaction = _interaction(session, state, secret, field_of(pairs, "csrf"))
    if interaction is None or interaction.person_id is None:
        return pages.error_page(_EXPIRED)
    person = session.get(Person, interaction.person_id)
    assert person is not None
    redirect_uri = interaction.parameters["redirect_uri"]
    key = state.cipher.pseudonym(f"code {person.id}")
    wait = throttle.seconds_locked(session, key, state.clock.now())
    if wait:
        return _mfa(request, secret, redirect_uri, _locked(wait), status=429, retry_after=wait)
    if not check_totp(session, state, person, field_of(pairs, "code").strip()):
        throttle.record_failure(session, key, state.clock.now())
        record_audit(
            session, None, "signin.refused", "signin", outcome="denied",
            detail={"step": "code", "subject": str(person.id)},
        )  # fmt: skip
        return _mfa(request, secret, redirect_uri, _WRONG_CODE, status=403)
    throttle.record_success(session, key)
    return _complete(request, session, state, interaction, person, ("pwd", "otp", "mfa"))


def _complete(
    request: Request,
    session: Session,
    state: IdentityState,
    interaction: Interaction,
    person: Person,
    amr: tuple[str, ...],
) -> Response:
    """Issue the code; the interaction and its cookie are used up."""
    protocol: Any = Protocol(session, state)
    pairs = [(str(name), str(value)) for name, value in interaction.parameters["pairs"]]
    asked = form_request(state, "GET", "/authorize", pairs, Headers())
    try:
        grant = protocol.get_consent_grant(asked)
        signed_in = SignedIn(person, amr, state.clock.now())
        answer = protocol.create_authorization_response(asked, grant_user=signed_in, grant=grant)
    except OAuth2Error as error:
        return _refusal(protocol, asked, error)
    session.delete(interaction)
    principal = Principal(
        str(person.id), "practitioner" if person.role == "practitioner" else "patient", mfa="mfa" in amr
    )
    record_audit(session, principal, "signin.completed", "signin", detail={"amr": " ".join(amr)})
    response = _redirect(_with_query(answer.headers["location"], {"iss": state.issuer}))
    response.delete_cookie(COOKIE, path=_prefix(request) or "/", secure=True, httponly=True, samesite="lax")
    return response


def _refusal(protocol: Any, asked: FormRequest, error: OAuth2Error) -> Response:
    """Tell the client where its address is known to be its own; otherwise only the person."""
    if error.redirect_uri:
        response = protocol.handle_error_response(asked, error)
        location = response.headers["location"]
        return _redirect(_with_query(location, {"iss": protocol.state.issuer}))
    return pages.error_page("The application's request is not acceptable.")


def _with_query(location: str, parameters: dict[str, str]) -> str:
    return str(add_params_to_uri(location, list(parameters.items())))


def _interaction(session: Session, state: IdentityState, secret: str, csrf: str) -> Interaction | None:
    if not secret or not hmac.compare_digest(csrf.encode(), _csrf(secret).encode()):
        return None
    interaction = session.get(Interaction, token_digest(secret), with_for_update=True)
    if interaction is None or interaction.expires_at <= state.clock.now():
        return None
    return interaction


def _csrf(secret: str) -> str:
    """A token that only a page shown to the holder of the cookie can carry."""
    return hmac.new(secret.encode(), b"csrf", hashlib.sha256).hexdigest()


def _prefix(request: Request) -> str:
    """Prefix of this service at the gateway."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def _redirect(location: str) -> Response:
    # 303: what follows is a GET, whatever the form was.
    return RedirectResponse(location, status_code=303, headers={"referrer-policy": "no-referrer"})


def _locked(wait: int) -> str:
    return f"Too many attempts. Try again in {wait} seconds."


def _login(request: Request, secret: str, redirect_uri: str, message: str = "", **more: Any) -> Response:
    action = f"{_prefix(request)}/login"
    return pages.login_page(
        action=action, csrf=_csrf(secret), redirect_uri=redirect_uri, message=message, **more
    )


def _mfa(request: Request, secret: str, redirect_uri: str, message: str = "", **more: Any) -> Response:
    action = f"{_prefix(request)}/mfa"
    return pages.mfa_page(
        action=action, csrf=_csrf(secret), redirect_uri=redirect_uri, message=message, **more
    )
