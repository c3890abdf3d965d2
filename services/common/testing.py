"""Helpers for the services' own tests: token signer, clock to turn, application on SQLite, no network."""

from __future__ import annotations

import json
import uuid
import warnings
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import httpx
import structlog
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import ECKey
from opentelemetry.sdk.trace import ReadableSpan
from sqlalchemy import create_engine, make_url, text

from services.common.app import create_app
from services.common.context import ServiceContext, build_context
from services.common.definition import ServiceDefinition
from services.common.schema import head_revision, upgrade
from services.common.settings import Settings
from services.common.tables import COMMON

with warnings.catch_warnings():
    # Starlette announces a successor of httpx; the client works with the present one.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

__all__ = [
    "ISSUER",
    "FixedClock",
    "TestClient",
    "TokenSigner",
    "assert_migrations_match",
    "make_settings",
    "make_test_app",
    "unreachable",
]

ISSUER = "https://localhost:8443/identity"


class FixedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, **parts: float) -> None:
        """Move on, by `timedelta` arguments."""
        self._now += timedelta(**parts)


class TokenSigner:
    """Signs access tokens as identity would, and writes the key set that verifies them."""

    def __init__(self, clock: FixedClock, kid: str = "test-key") -> None:
        self.key = ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})
        self.kid = kid
        self._clock = clock

    def write_jwks(self, path: Path) -> Path:
        """Write the public key set."""
        path.write_text(json.dumps({"keys": [self.key.as_dict(private=False)]}))
        return path

    def token(
        self,
        role: str,
        subject: str = "",
        *,
        scopes: Iterable[str] = (),
        mfa: bool | None = None,
        minutes: float = 15,
        **claims: Any,
    ) -> str:
        """A signed token; practitioners have a second factor unless told otherwise. `claims` override."""
        now = int(self._clock.now().timestamp())
        second = role == "practitioner" if mfa is None else mfa
        payload = {
            "iss": ISSUER,
            "sub": subject or str(uuid.uuid4()),
            "aud": "vitalops",
            "iat": now,
            "exp": now + int(minutes * 60),
            "jti": uuid.uuid4().hex,
            "scope": " ".join(scopes),
            "role": role,
            "amr": ["pwd", "otp", "mfa"] if second else ["pwd"],
        } | claims
        return jwt.encode(
            {"alg": "ES256", "kid": self.kid, "typ": "at+jwt"}, payload, self.key, algorithms=["ES256"]
        )

    def headers(
        self, role: str, subject: str = "", *, key: str | None = None, **options: Any
    ) -> dict[str, str]:
        """Request headers with a token and an Idempotency-Key (a fresh one unless given)."""
        token = self.token(role, subject, **options)
        return {"authorization": f"Bearer {token}", "idempotency-key": key or str(uuid.uuid4())}


def _refuse(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no network in tests", request=request)


def unreachable() -> httpx.MockTransport:
    """A transport on which no service answers."""
    return httpx.MockTransport(_refuse)


def make_settings(service: str, folder: Path, **changes: Any) -> Settings:
    """Settings on a SQLite file in `folder`, with URLs `http://<service>` for every service."""
    names = (
        "audit", "consent", "consultation", "identity", "notification", "payment", "prescription", "records",
        "scheduling",
    )  # fmt: skip
    settings = Settings(
        service=service,
        region="test",
        database_url=make_url(f"sqlite:///{folder / f'{service}.sqlite'}"),
        issuer=ISSUER,
        secrets_dir=folder,
        jwks_file=folder / "jwks.json",
        client_secret="test-secret",  # noqa: S106
        service_urls=MappingProxyType({name: f"http://{name}" for name in names}),
    )
    return replace(settings, **changes)


def create_schema(context: ServiceContext) -> None:
    """Create every table from the models and mark the schema as being at the head."""
    engine = context.database.engine
    with engine.begin() as connection:
        COMMON.create_all(connection)
        context.definition.metadata.create_all(connection)
        connection.execute(
            text("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
        )
        connection.execute(text("DELETE FROM alembic_version"))
        connection.execute(
            text("INSERT INTO alembic_version VALUES (:head)"), {"head": head_revision(context.definition)}
        )


def _drop(_: Any, __: str, ___: Any) -> Any:
    raise structlog.DropEvent


def make_test_app(
    definition: ServiceDefinition,
    folder: Path,
    clock: FixedClock,
    signer: TokenSigner,
    *,
    transport: httpx.BaseTransport | None = None,
    **settings: Any,
) -> FastAPI:
    """An application with its tables and no threads.

    `app.state.context.relay.step()` delivers; `app.state.spans` holds the spans that ended.
    """
    if not structlog.is_configured():
        # Its default prints whole stack frames with their variables, which takes seconds.
        structlog.configure(processors=[_drop])
    values = make_settings(definition.name, folder, **settings)
    signer.write_jwks(values.jwks_file)
    spans: list[ReadableSpan] = []
    context = build_context(
        definition,
        values,
        clock=clock,
        transport=transport or unreachable(),
        ship=spans.append,
        sleep=lambda _: None,
    )
    create_schema(context)
    app = create_app(definition, values, context=context, background=False)
    app.state.spans = spans
    return app


def assert_migrations_match(definition: ServiceDefinition, folder: Path) -> None:
    """Fails unless the migrations, run from nothing, make exactly the tables that the models describe."""
    engine = create_engine(f"sqlite:///{folder / f'{definition.name}-migrated.sqlite'}")
    try:
        with engine.begin() as connection:
            upgrade(definition, connection)
        with engine.connect() as connection:
            migration = MigrationContext.configure(connection, opts={"compare_type": True})
            differences = compare_metadata(migration, cast("Any", [definition.metadata, COMMON]))
        assert not differences, f"{definition.name}: migrations and models differ: {differences}"
    finally:
        engine.dispose()
