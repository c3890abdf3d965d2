"""`python -m services.identity.revoke SUBJECT (--until T | --lift | --show)`: who gets no tokens.

A person's id or a client's name. `--until` (seconds since 1970) ends every session of the person and refuses new
tokens until then; it ends by itself. `--lift` ends it now. All print the state as JSON. Exit status 2: wrong call; 3:
the database refused.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from sqlalchemy import Engine, create_engine, delete, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.common.settings import SettingsError, load_settings
from services.identity.models import AuthorizationCode, Interaction, RefreshToken, Revocation

SERVICE = "identity"


def is_revoked(session: Session, subject: str, now: datetime) -> bool:
    """Whether the subject gets no tokens now."""
    found = session.get(Revocation, subject)
    return found is not None and found.until > now


def revoke(session: Session, subject: str, until: datetime, now: datetime) -> None:
    """No tokens until then; a person's sessions, codes and sign-ins under way end. Idempotent."""
    found = session.get(Revocation, subject)
    if found is None:
        session.add(Revocation(subject=subject, until=until, made_at=now))
    else:
        found.until = until
    with suppress(ValueError):
        person = uuid.UUID(subject)
        session.execute(
            update(RefreshToken)
            .where(RefreshToken.person_id == person, RefreshToken.revoked_at.is_(None))
            .values(revoked_at=now)
        )
        session.execute(delete(AuthorizationCode).where(AuthorizationCode.person_id == person))
        session.execute(delete(Interaction).where(Interaction.person_id == person))


def lift(session: Session, subject: str) -> None:
    """The subject may get tokens again; sessions that were ended stay so."""
    session.execute(delete(Revocation).where(Revocation.subject == subject))


def standing(session: Session, subject: str, now: datetime) -> dict[str, object]:
    """Whether and until when (seconds since 1970) the subject is refused, and sessions that could go on."""
    found, sessions = session.get(Revocation, subject), 0
    with suppress(ValueError):
        sessions = (
            session.scalar(
                select(func.count()).where(
                    RefreshToken.person_id == uuid.UUID(subject),
                    RefreshToken.revoked_at.is_(None),
                    RefreshToken.used_at.is_(None),
                    RefreshToken.expires_at > now,
                )
            )
            or 0
        )
    until = found.until.timestamp() if found else 0.0
    return {"revoked": is_revoked(session, subject, now), "until": until, "sessions": sessions}


def run(engine: Engine, arguments: Sequence[str], now: datetime) -> dict[str, object]:
    """What `main` prints. Raises ValueError for a wrong call."""
    with Session(engine) as session, session.begin():
        match arguments:
            case [subject, "--until", until] if subject:
                revoke(session, subject, datetime.fromtimestamp(float(until), UTC), now)
            case [subject, "--lift"] if subject:
                lift(session, subject)
            case [subject, "--show"] if subject:
                pass
            case _:
                raise ValueError("usage: SUBJECT (--until T | --lift | --show)")
        session.flush()
        return standing(session, subject, now)


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """See the module's text."""
    try:
        url = load_settings(environ, service=SERVICE).database_url
        engine = create_engine(url, hide_parameters=True)
        try:
            document = run(engine, arguments, datetime.now(UTC))
        finally:
            engine.dispose()
    except (SettingsError, ValueError) as error:
        print(f"revoke: {error}", file=sys.stderr)
        return 2
    except SQLAlchemyError as error:
        print(f"revoke: the database of identity refused: {type(error).__name__}", file=sys.stderr)
        return 3
    print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
