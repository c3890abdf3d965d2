"""Access tokens: verification (ES256, RFC 9068 profile) and the dependencies that demand them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from services.common.clock import Clock
from services.common.problems import ProblemError

Role = Literal["patient", "practitioner", "service", "operator"]
ROLES: frozenset[str] = frozenset({"patient", "practitioner", "service", "operator"})
ALGORITHM = "ES256"
TOKEN_TYPE = "at+jwt"
_LEEWAY_SECONDS = 5
_MFA_METHODS = frozenset({"mfa", "otp", "hwk"})


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, as the token says: a pseudonym, a role, scopes. No name, no address."""

    subject: str
    role: Role
    scopes: frozenset[str] = field(default_factory=lambda: frozenset[str]())
    mfa: bool = False
    token_id: str = ""


class InvalidToken(Exception):
    """The token is not acceptable; the message is safe to show."""


def _read_key_set(path: Path) -> KeySet:
    document = json.loads(path.read_text(encoding="utf-8"))
    # Only what identity may use: an unexpected key type in the file must not widen what is accepted.
    keys = [key for key in document["keys"] if key.get("kty") == "EC" and key.get("crv") == "P-256"]
    return KeySet.import_key_set(cast("Any", {"keys": keys}))


class JwksFile:
    """Public keys from a file, read again when the file changes (a mounted ConfigMap is swapped in place)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._keys: KeySet | None = None

    def keys(self) -> KeySet:
        """The current key set; keeps the last good one when the file is momentarily unreadable.

        Raises OSError, ValueError or KeyError when there has never been a good one.
        """
        try:
            stat = self._path.stat()
            stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            with self._lock:
                if stamp != self._stamp or self._keys is None:
                    self._keys = _read_key_set(self._path)
                    self._stamp = stamp
                return self._keys
        except (OSError, ValueError, KeyError, JoseError):
            if self._keys is not None:
                return self._keys
            raise


class TokenVerifier:
    """Verifies access tokens against a key set, an issuer and an audience."""

    def __init__(self, keys: Callable[[], KeySet], *, issuer: str, audience: str, clock: Clock) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock

    def check_keys(self) -> None:
        """Raises when there is no key to verify with."""
        if not list(self._keys()):
            raise ValueError("the key set is empty")

    def verify(self, token: str) -> Principal:
        """The caller that a token speaks for.

        Raises InvalidToken, always for a signature, algorithm, type, issuer, audience or time that does not
        fit.
        """
        try:
            keys = self._keys()
        except Exception as error:
            raise ProblemError(
                503,
                "keys-unavailable",
                "Temporarily unavailable",
                "No verification keys.",
                headers={"Retry-After": "2"},
            ) from error
        try:
            decoded = jwt.decode(token, keys, algorithms=[ALGORITHM])
            if str(decoded.header.get("typ", "")).lower() not in {TOKEN_TYPE, f"application/{TOKEN_TYPE}"}:
                raise InvalidToken("not an access token")
            if not decoded.header.get("kid"):
                raise InvalidToken("the token names no key")
            registry = jwt.JWTClaimsRegistry(
                now=lambda: int(self._clock.now().timestamp()),
                leeway=_LEEWAY_SECONDS,
                iss={"essential": True, "value": self._issuer},
                aud={"essential": True, "value": self._audience},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
                jti={"essential": True},
            )
            registry.validate(decoded.claims)
        except InvalidToken:
            raise
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise InvalidToken(_reason(error)) from error
        return _principal(decoded.claims)


def _reason(error: Exception) -> str:
    return (
        "the token has expired" if type(error).__name__ == "ExpiredTokenError" else "the token is not valid"
    )


def _principal(claims: dict[str, Any]) -> Principal:
    role = claims.get("role")
    subject = claims.get("sub")
    scope = claims.get("scope", "")
    amr = claims.get("amr", [])
    if not isinstance(role, str) or role not in ROLES:
        raise InvalidToken("the token names no known role")
    if not isinstance(subject, str) or not 0 < len(subject) <= 128:
        raise InvalidToken("the token names no subject")
    if not isinstance(scope, str) or not isinstance(amr, list):
        raise InvalidToken("the token's claims have the wrong form")
    return Principal(
        subject=subject,
        role=cast("Role", role),
        scopes=frozenset(scope.split()),
        mfa=bool(_MFA_METHODS & {str(method) for method in cast("list[Any]", amr)}),
        token_id=str(claims.get("jti", "")),
    )


bearer_scheme = HTTPBearer(
    auto_error=False, bearerFormat="JWT", scheme_name="bearer", description="Access token issued by identity"
)


def _unauthorized(detail: str, *, error: str = "") -> ProblemError:
    challenge = 'Bearer realm="vitalops"' + (f', error="{error}"' if error else "")
    return ProblemError(401, "unauthorized", "Unauthorized", detail, headers={"WWW-Authenticate": challenge})


def _insufficient(detail: str) -> ProblemError:
    challenge = 'Bearer realm="vitalops", error="insufficient_scope"'
    return ProblemError(403, "forbidden", "Forbidden", detail, headers={"WWW-Authenticate": challenge})


def current_principal(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer_scheme)],
) -> Principal:
    """The verified caller; 401 without a good token."""
    if credentials is None:
        raise _unauthorized("An access token is needed.")
    try:
        principal: Principal = request.app.state.context.verifier.verify(credentials.credentials)
    except InvalidToken as error:
        raise _unauthorized(f"{str(error).capitalize()}.", error="invalid_token") from error
    request.state.principal = principal
    return principal


def _names(value: str | Iterable[str] | None) -> frozenset[str]:
    if value is None:
        return frozenset()
    return frozenset({value}) if isinstance(value, str) else frozenset(value)


def require(
    *, role: str | Iterable[str] | None = None, scope: str | Iterable[str] | None = None
) -> Callable[..., Principal]:
    """A dependency that lets through callers with one of the roles and all of the scopes.

    A practitioner must have signed in with a second factor. Use it as
    `principal: Annotated[Principal, Depends(require(role="patient"))]`.
    """
    roles, scopes = _names(role), _names(scope)
    if not roles <= ROLES:
        raise ValueError(f"unknown role in {sorted(roles)}")

    def dependency(principal: Annotated[Principal, Depends(current_principal)]) -> Principal:
        if roles and principal.role not in roles:
            raise _insufficient(f"This is for: {', '.join(sorted(roles))}.")
        if not scopes <= principal.scopes:
            raise _insufficient(f"The token lacks: {', '.join(sorted(scopes - principal.scopes))}.")
        if principal.role == "practitioner" and not principal.mfa:
            raise _insufficient("Practitioners sign in with a second factor.")
        return principal

    return dependency
