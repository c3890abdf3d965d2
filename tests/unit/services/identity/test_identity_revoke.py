"""Who is revoked gets no tokens, from a code, a refresh token or a secret; and it ends by itself."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from services.common.testing import FixedClock
from services.identity.models import Person, RefreshToken
from services.identity.revoke import is_revoked, lift, main, revoke, standing

PERSON = uuid.uuid4()


@pytest.fixture
def database(http: Any) -> Any:
    return http.app.state.context.database


def refresh_token(clock: FixedClock) -> RefreshToken:
    now = clock.now()
    return RefreshToken(
        digest=uuid.uuid4().hex, family=uuid.uuid4(), client_id="web", person_id=PERSON, scope="openid", amr=["pwd"],
        auth_time=now, expires_at=now + timedelta(hours=1), used_at=None, revoked_at=None,
    )  # fmt: skip


def test_sessions_end_and_it_ends_by_itself(database: Any, clock: FixedClock) -> None:
    until = clock.now() + timedelta(hours=1)
    with database.transaction() as session:
        session.add(refresh_token(clock))
        session.flush()
        assert standing(session, str(PERSON), clock.now())["sessions"] == 1
        for _ in range(2):
            revoke(session, str(PERSON), until, clock.now())
            session.flush()
        assert standing(session, str(PERSON), clock.now()) == {
            "revoked": True,
            "until": until.timestamp(),
            "sessions": 0,
        }
        assert not is_revoked(session, str(uuid.uuid4()), clock.now())
        assert not is_revoked(session, str(PERSON), until)
        lift(session, str(PERSON))
        assert not is_revoked(session, str(PERSON), clock.now())


def test_a_client_gets_no_tokens_until_it_is_over(http: Any, database: Any, clock: FixedClock) -> None:
    def status() -> int:
        asked = {"grant_type": "client_credentials"}
        return int(http.post("/oauth/token", data=asked, auth=("consent", "consent secret")).status_code)

    assert status() == 200
    with database.transaction() as session:
        revoke(session, "consent", clock.now() + timedelta(hours=1), clock.now())
    assert status() == 401
    clock.advance(hours=2)
    assert status() == 200


def test_a_session_does_not_go_on(browser: Any, patient: str, database: Any, clock: FixedClock) -> None:
    tokens = browser.exchange(browser.code_for(patient)).json()
    code = browser.code_for(patient)
    with database.transaction() as session:
        person = session.scalar(select(Person.id))
        revoke(session, str(person), clock.now() + timedelta(hours=1), clock.now())
    assert browser.refresh(tokens["refresh_token"]).status_code == 400
    assert browser.exchange(code).status_code == 400


def test_called_wrongly(capsys: pytest.CaptureFixture[str]) -> None:
    environment = {"VITALOPS_DATABASE_URL": "sqlite://", "VITALOPS_ISSUER": "https://x.example"}
    assert main(["someone"], environment) == 2
    assert main(["someone", "--show"], environment) == 3
    assert "refused: OperationalError" in capsys.readouterr().err
