"""The OAuth 2 and OpenID protocol by Authlib, on this service's tables.

Only what RFC 9700 leaves standing: authorization code with PKCE (S256) for people, client credentials for services,
refresh tokens that rotate; a code or refresh token used twice ends every token of its sign-in.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

from authlib.oauth2.rfc6749 import AuthorizationServer, InvalidRequestError, InvalidScopeError, OAuth2Request
from authlib.oauth2.rfc6749.grants import (
    AuthorizationCodeGrant,
    ClientCredentialsGrant,
    RefreshTokenGrant,
)
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core.grants import OpenIDCode, OpenIDToken
from sqlalchemy import update
from sqlalchemy.orm import Session
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from services.common.audit import record_audit
from services.common.auth import Principal
from services.identity.clients import OAuthClient
from services.identity.crypto import new_token, token_digest
from services.identity.models import AuthorizationCode, Person, RefreshToken
from services.identity.revoke import is_revoked
from services.identity.state import (
    ACCESS_LIFETIME,
    CODE_LIFETIME,
    ID_LIFETIME,
    REFRESH_LIFETIME,
    IdentityState,
)

_LONGEST_VALUE = 255


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person who has just proved who they are, and how."""

    person: Person
    amr: tuple[str, ...]
    at: datetime

    def get_user_id(self) -> str:
        return str(self.person.id)


class FormPayload(BasicOAuth2Payload):
    """Parameters as they came, repeated ones included."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        super().__init__(dict(reversed(pairs)))
        self._datalist = {name: [v for n, v in pairs if n == name] for name, _ in pairs}


class FormRequest(OAuth2Request):
    """A request for Authlib; its address is the public one, whatever the gateway made of it."""

    def __init__(self, method: str, uri: str, pairs: Sequence[tuple[str, str]], headers: Headers) -> None:
        super().__init__(method, uri, headers=headers)
        self.payload = FormPayload(pairs)

    @property
    def args(self) -> dict[str, str]:
        return self.payload.data

    @property
    def form(self) -> dict[str, str]:
        return self.payload.data


class Protocol(AuthorizationServer):
    """Authlib's server for one request and its transaction."""

    def __init__(self, session: Session, state: IdentityState) -> None:
        super().__init__(scopes_supported=None)
        self.session = session
        self.state = state
        self.register_token_generator("default", self._bearer)
        self.register_grant(_CodeGrant, [_IdToken(), _RequiredChallenge()])
        self.register_grant(_RefreshGrant, [_RefreshedIdToken()])
        self.register_grant(_ServiceGrant)
        self.register_endpoint(_Revocation)

    def query_client(self, client_id: str) -> OAuthClient | None:
        client = self.state.client(client_id)
        if client is not None and is_revoked(self.session, client_id, self.state.clock.now()):
            return None
        return client

    def save_token(self, token: dict[str, Any], request: Any) -> None:
        """Store the refresh token, if there is one; access tokens are not stored."""
        refresh = token.get("refresh_token")
        if not refresh:
            return
        origin = request.authorization_code or request.refresh_token
        self.session.add(
            RefreshToken(
                digest=token_digest(refresh),
                family=origin.family,
                client_id=origin.client_id,
                person_id=origin.person_id,
                scope=origin.scope,
                amr=origin.amr,
                auth_time=origin.auth_time,
                # The first sign-in counts: rotation does not stretch a session for ever.
                expires_at=origin.auth_time + REFRESH_LIFETIME,
                used_at=None,
                revoked_at=None,
            )
        )
        self.session.flush()

    def end_family(self, family: uuid.UUID, person_id: uuid.UUID, reason: str) -> None:
        """Revoke every refresh token of one sign-in, and have it on record."""
        self.session.execute(
            update(RefreshToken)
            .where(RefreshToken.family == family, RefreshToken.revoked_at.is_(None))
            .values(revoked_at=self.state.clock.now())
        )
        record_audit(
            self.session, None, "session.ended", f"sessions/{family}", outcome="denied",
            detail={"reason": reason, "subject": str(person_id)},
        )  # fmt: skip

    def create_oauth2_request(self, request: Any) -> OAuth2Request:
        return request

    def create_json_request(self, request: Any) -> Any:
        return request

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """No listeners."""

    def handle_response(self, status: int, body: Any, headers: Any) -> Response:
        content = dict(headers)
        content.pop("Content-Type", None)
        if isinstance(body, dict | list):
            return JSONResponse(dict(body), status_code=status, headers=content)
        return Response(body, status_code=status, headers=content)

    def _bearer(
        self,
        grant_type: str,
        client: OAuthClient,
        user: SignedIn | None = None,
        scope: str | None = None,
        expires_in: int | None = None,
        include_refresh_token: bool = True,
    ) -> dict[str, Any]:
        allowed = client.get_allowed_scope(scope)
        if user is None and scope and set(scope.split()) - set(client.scopes):
            raise InvalidScopeError()
        token: dict[str, Any] = {
            "token_type": "Bearer",
            "access_token": self.state.access_token(
                subject=user.get_user_id() if user else client.client_id,
                role=user.person.role if user else client.role,
                scope=allowed,
                amr=user.amr if user else (),
                client_id=client.client_id,
            ),
            "expires_in": int(ACCESS_LIFETIME.total_seconds()),
            "scope": allowed,
        }
        if include_refresh_token:
            token["refresh_token"] = new_token()
        return token


class _CodeGrant(AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = ["none"]
    server: Protocol

    def save_authorization_code(self, code: str, request: Any) -> None:
        user: SignedIn = request.user
        now = self.server.state.clock.now()
        self.server.session.add(
            AuthorizationCode(
                digest=token_digest(code),
                family=uuid.uuid4(),
                client_id=request.client.client_id,
                person_id=user.person.id,
                redirect_uri=request.payload.redirect_uri,
                scope=request.scope,
                nonce=request.payload.data.get("nonce", ""),
                challenge=request.payload.data["code_challenge"],
                amr=list(user.amr),
                auth_time=user.at,
                expires_at=now + CODE_LIFETIME,
                used_at=None,
            )
        )
        self.server.session.flush()

    def query_authorization_code(self, code: str, client: OAuthClient) -> AuthorizationCode | None:
        row = self.server.session.get(AuthorizationCode, token_digest(code), with_for_update=True)
        if row is None or row.client_id != client.client_id:
            return None
        if row.used_at is not None:
            self.server.end_family(row.family, row.person_id, "code used twice")
            return None
        return row if row.expires_at > self.server.state.clock.now() else None

    def delete_authorization_code(self, authorization_code: AuthorizationCode) -> None:
        authorization_code.used_at = self.server.state.clock.now()

    def authenticate_user(self, authorization_code: AuthorizationCode) -> SignedIn | None:
        return _signed_in(self.server, authorization_code)


class _RefreshGrant(RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = ["none"]
    INCLUDE_NEW_REFRESH_TOKEN = True
    server: Protocol

    def authenticate_refresh_token(self, refresh_token: str) -> RefreshToken | None:
        row = self.server.session.get(RefreshToken, token_digest(refresh_token), with_for_update=True)
        if row is None or row.revoked_at is not None:
            return None
        if row.used_at is not None:
            # Either the thief or the owner comes second: neither may go on.
            self.server.end_family(row.family, row.person_id, "refresh token used twice")
            return None
        return row if row.expires_at > self.server.state.clock.now() else None

    def authenticate_user(self, refresh_token: RefreshToken) -> SignedIn | None:
        return _signed_in(self.server, refresh_token)

    def revoke_old_credential(self, refresh_token: RefreshToken) -> None:
        refresh_token.used_at = self.server.state.clock.now()


class _ServiceGrant(ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = ["client_secret_basic", "client_secret_post"]


def _signed_in(server: Protocol, origin: AuthorizationCode | RefreshToken) -> SignedIn | None:
    person = server.session.get(Person, origin.person_id)
    if person is None or is_revoked(server.session, str(person.id), server.state.clock.now()):
        return None
    return SignedIn(person, tuple(origin.amr), origin.auth_time)


class _RequiredChallenge(CodeChallenge):
    """PKCE for every authorization request, S256 only."""

    SUPPORTED_CODE_CHALLENGE_METHOD: ClassVar = ["S256"]

    def __init__(self) -> None:
        super().__init__(required=True)

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        parameters = grant.request.payload.data
        if not parameters.get("code_challenge") or parameters.get("code_challenge_method") != "S256":
            raise InvalidRequestError("A code_challenge with code_challenge_method S256 is required.")
        # base64url of 256 bits, unpadded (RFC 7636, section 4.2).
        if len(parameters["code_challenge"]) != 43:
            raise InvalidRequestError("Invalid 'code_challenge'")
        if any(len(parameters.get(name, "")) > _LONGEST_VALUE for name in ("nonce", "state")):
            raise InvalidRequestError("nonce and state may have 255 characters.")
        super().validate_code_challenge(grant, redirect_uri)


class _IdTokenClaims:
    """What both kinds of ID token have in common."""

    def resolve_client_private_key(self, client: Any) -> Any:
        return self._state.signing_key().key

    def get_client_algorithm(self, client: Any) -> str:
        return "ES256"

    def get_encode_header(self, client: Any) -> dict[str, str]:
        return {"alg": "ES256", "kid": self._state.signing_key().kid}

    def get_client_claims(self, client: OAuthClient) -> dict[str, Any]:
        now = int(self._state.clock.now().timestamp())
        return {
            "iss": self._state.issuer,
            "aud": [client.client_id],
            "iat": now,
            "exp": now + int(ID_LIFETIME.total_seconds()),
        }

    def generate_user_info(self, user: SignedIn, scope: str) -> dict[str, Any]:
        # auth_time and amr for refreshed tokens too; names stay at /userinfo.
        return {"sub": user.get_user_id(), "auth_time": int(user.at.timestamp()), "amr": list(user.amr)}

    def process_token(self, grant: Any, response: Any) -> Any:
        self._state: IdentityState = grant.server.state
        return super().process_token(grant, response)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]


class _IdToken(_IdTokenClaims, OpenIDCode):
    def __init__(self) -> None:
        super().__init__(require_nonce=False)

    def exists_nonce(self, nonce: str, request: Any) -> bool:
        # Codes are single-use and bound by PKCE; a nonce is the client's own check.
        return False


class _RefreshedIdToken(_IdTokenClaims, OpenIDToken):
    pass


class _Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS: ClassVar = ["none", "client_secret_basic", "client_secret_post"]
    server: Protocol

    def query_token(self, token_string: str, token_type_hint: str | None) -> RefreshToken | None:
        return self.server.session.get(RefreshToken, token_digest(token_string))

    def revoke_token(self, token: RefreshToken, request: Any) -> None:
        """Signing out: the whole sign-in ends. Access tokens run out by themselves, in minutes."""
        self.server.session.execute(
            update(RefreshToken)
            .where(RefreshToken.family == token.family, RefreshToken.revoked_at.is_(None))
            .values(revoked_at=self.server.state.clock.now())
        )
        person = self.server.session.get(Person, token.person_id)
        assert person is not None
        principal = Principal(str(person.id), "patient" if person.role == "patient" else "practitioner")
        record_audit(self.server.session, principal, "session.ended", f"sessions/{token.family}")


def form_request(
    state: IdentityState, method: str, path: str, pairs: Sequence[tuple[str, str]], headers: Headers
) -> FormRequest:
    """A request for the protocol, under the issuer's public address."""
    query = "?" + urlencode(pairs) if method == "GET" else ""
    return FormRequest(method, f"{state.issuer}{path}{query}", pairs, headers)
