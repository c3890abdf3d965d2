"""Protocol endpoints that programs call: token, revocation, user info, keys, discovery."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from services.common.auth import Principal, require
from services.common.context import service_state
from services.common.db import SessionDep
from services.common.openapi import problems
from services.common.problems import not_found
from services.identity.clients import OPENID_SCOPES
from services.identity.forms import FormDep, Pairs
from services.identity.models import Person
from services.identity.oauth import Protocol, form_request
from services.identity.state import IdentityState

router = APIRouter(tags=["protocol"])

StateDep = Annotated[IdentityState, Depends(service_state)]

_OAUTH_ERROR: dict[str, Any] = {
    "description": "OAuth error (RFC 6749, section 5.2)",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
            }
        },
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
    },
}


def _form_schema(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": required, "properties": properties}
    return {
        "requestBody": {
            "required": True,
            "content": {"application/x-www-form-urlencoded": {"schema": schema}},
        }
    }


def _single(pairs: Pairs) -> None:
    """Parameters must not be repeated (RFC 6749, section 3.2)."""
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise InvalidRequestError("A parameter is given more than once.")


@router.post(
    "/oauth/token",
    responses={400: _OAUTH_ERROR, 401: _OAUTH_ERROR, **problems(413, 415)},
    openapi_extra=_form_schema(
        ["grant_type"],
        grant_type={"type": "string", "enum": ["authorization_code", "refresh_token", "client_credentials"]},
        code={"type": "string"},
        redirect_uri={"type": "string"},
        code_verifier={"type": "string"},
        refresh_token={"type": "string"},
        client_id={"type": "string"},
        client_secret={"type": "string"},
        scope={"type": "string"},
    ),
)
def token(request: Request, pairs: FormDep, session: SessionDep, state: StateDep) -> Response:
    """Exchange a code, a refresh token or a client's own credentials for tokens."""
    protocol = Protocol(session, state)
    asked = form_request(state, "POST", "/oauth/token", pairs, request.headers)
    try:
        _single(pairs)
        return protocol.create_token_response(asked)
    except OAuth2Error as error:
        return protocol.handle_error_response(asked, error)
    except ValueError:
        # Authlib refuses to repeat certain characters of the request in its descriptions.
        return protocol.handle_error_response(asked, InvalidRequestError("The request cannot be read."))


@router.post(
    "/oauth/revoke",
    responses={400: _OAUTH_ERROR, 401: _OAUTH_ERROR, **problems(413, 415)},
    openapi_extra=_form_schema(
        ["token"],
        token={"type": "string"},
        token_type_hint={"type": "string", "enum": ["refresh_token", "access_token"]},
        client_id={"type": "string"},
    ),
)
def revoke(request: Request, pairs: FormDep, session: SessionDep, state: StateDep) -> Response:
    """End a sign-in (RFC 7009): its refresh tokens are worthless from now on."""
    protocol = Protocol(session, state)
    asked = form_request(state, "POST", "/oauth/revoke", pairs, request.headers)
    try:
        _single(pairs)
        return protocol.create_endpoint_response("revocation", asked)
    except OAuth2Error as error:
        return protocol.handle_error_response(asked, error)
    except ValueError:
        return protocol.handle_error_response(asked, InvalidRequestError("The request cannot be read."))


@router.get("/userinfo")
def userinfo(
    principal: Annotated[Principal, Depends(require(role={"patient", "practitioner"}, scope="openid"))],
    session: SessionDep,
) -> dict[str, Any]:
    """The caller's own details, as far as the token's scopes go."""
    person = session.get(Person, _uuid(principal.subject))
    if person is None:
        raise not_found("person")
    claims: dict[str, Any] = {"sub": principal.subject}
    if "profile" in principal.scopes:
        claims |= {
            "name": f"{person.given_name} {person.family_name}",
            "given_name": person.given_name,
            "family_name": person.family_name,
        }
    if "email" in principal.scopes:
        claims |= {"email": person.email, "email_verified": False}
    return claims


@router.get("/.well-known/jwks.json")
def jwks(state: StateDep) -> JSONResponse:
    """Public keys that verify this issuer's tokens."""
    return JSONResponse(state.keyring.get().document(), headers={"cache-control": "public, max-age=300"})


@router.get("/.well-known/openid-configuration")
def discovery(state: StateDep) -> JSONResponse:
    """OpenID provider metadata."""
    issuer = state.issuer
    return JSONResponse(
        {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/oauth/token",
            "userinfo_endpoint": f"{issuer}/userinfo",
            "revocation_endpoint": f"{issuer}/oauth/revoke",
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "scopes_supported": list(OPENID_SCOPES),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "claims_supported": ["sub", "name", "given_name", "family_name", "email", "auth_time", "amr"],
            "authorization_response_iss_parameter_supported": True,
            "request_parameter_supported": False,
            "request_uri_parameter_supported": False,
        },
        headers={"cache-control": "public, max-age=300"},
    )


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise not_found("person") from None
