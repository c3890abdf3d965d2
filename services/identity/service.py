"""Definition of the identity service."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import delete
from sqlalchemy.orm import Session

from services.common.background import Worker
from services.common.context import ServiceContext
from services.common.definition import ServiceDefinition
from services.identity import api, endpoints, throttle, web
from services.identity.models import AuthorizationCode, Base, Interaction, RefreshToken, Throttle
from services.identity.state import REFRESH_LIFETIME, IdentityState, build_state

_PURGE_SECONDS = 600.0


def purge(session: Session, now: datetime) -> None:
    """Forget what has expired; used codes and tokens stay as long as reuse must be noticed."""
    session.execute(delete(Interaction).where(Interaction.expires_at < now))
    session.execute(delete(AuthorizationCode).where(AuthorizationCode.expires_at < now - REFRESH_LIFETIME))
    session.execute(delete(RefreshToken).where(RefreshToken.expires_at < now))
    session.execute(delete(Throttle).where(Throttle.updated_at < now - throttle.FORGOTTEN_AFTER))


def _workers(context: ServiceContext, _: IdentityState) -> Sequence[Worker]:
    def step() -> bool:
        if context.database.role() == "primary":
            with context.unit_of_work() as session:
                purge(session, context.clock.now())
        return False

    return (Worker("purge", step, interval=_PURGE_SECONDS),)


def _can_sign(_: ServiceContext, state: IdentityState) -> None:
    state.signing_key()


SERVICE = ServiceDefinition(
    name="identity",
    title="Identity",
    description=(
        "OpenID provider: authorization code with PKCE for people, client credentials for services, "
        "a second factor for practitioners."
    ),
    routers=(endpoints.router, web.router, api.router),
    metadata=Base.metadata,
    migrations=Path(__file__).parent / "migrations",
    build=build_state,
    workers=_workers,
    checks=(("signing-key", _can_sign),),
    max_body_bytes=16 * 1024,
)
