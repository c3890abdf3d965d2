"""Settings, migrations and the client that services call each other with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, text

from services.common import migrate, serve
from services.common.definition import load_definition
from services.common.problems import ProblemError
from services.common.service_client import ServiceClient
from services.common.settings import SettingsError, database_url, load_settings
from services.common.telemetry import make_telemetry
from services.common.testing import FixedClock, make_settings

URL = "postgresql+psycopg://<service>@/<service>?host=a,b&port=5432,5432&sslmode=verify-full"


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    (tmp_path / "database-password").write_text("pä ss/w\n")
    return {
        "VITALOPS_SERVICE": "consent",
        "VITALOPS_DATABASE_URL": URL,
        "VITALOPS_ISSUER": "https://localhost:8443/identity/",
        "VITALOPS_SECRETS_DIR": str(tmp_path),
        "VITALOPS_URL_AUDIT": "http://audit:8080/",
    } | more


def test_settings_come_from_environment_and_files(tmp_path: Path) -> None:
    settings = load_settings(environment(tmp_path, VITALOPS_PORT="9000"))
    assert (settings.service, settings.port, settings.issuer) == (
        "consent",
        9000,
        "https://localhost:8443/identity",
    )
    assert settings.url_of("audit") == "http://audit:8080"
    url = settings.database_url
    assert (url.username, url.database, url.password) == ("consent", "consent", "pä ss/w")
    assert url.query["host"] == "a,b"
    assert "pä" not in repr(settings)


@pytest.mark.parametrize("missing", ["VITALOPS_SERVICE", "VITALOPS_DATABASE_URL", "VITALOPS_ISSUER"])
def test_a_missing_variable_is_named(tmp_path: Path, missing: str) -> None:
    values = environment(tmp_path)
    del values[missing]
    with pytest.raises(SettingsError, match=missing):
        load_settings(values)


def test_missing_secrets_and_addresses_are_named(tmp_path: Path) -> None:
    settings = load_settings(environment(tmp_path))
    with pytest.raises(SettingsError, match="VITALOPS_URL_RECORDS"):
        settings.url_of("records")
    with pytest.raises(SettingsError, match="field-key"):
        settings.secret("field-key")
    (tmp_path / "database-password").unlink()
    with pytest.raises(SettingsError, match="database-password"):
        load_settings(environment(tmp_path) | {"VITALOPS_SECRETS_DIR": str(tmp_path / "other")})


def test_each_service_has_its_own_password_folder(tmp_path: Path) -> None:
    (tmp_path / "database-password").write_text("common")
    (tmp_path / "consent").mkdir()
    (tmp_path / "consent" / "database-password").write_text("own")
    assert database_url(URL, "consent", tmp_path).password == "own"
    assert database_url(URL, "audit", tmp_path).password == "common"


@pytest.mark.parametrize("name", ["nothing", "common", "../etc", ""])
def test_unknown_services_are_told(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LookupError):
        load_definition(name)
    assert serve.main([name]) == 2
    assert "there is no service" in capsys.readouterr().err


def test_migrating_twice_is_migrating_once(tmp_path: Path) -> None:
    values = {"VITALOPS_DATABASE_URL": f"sqlite:///{tmp_path}/{{service}}.db"}
    for name in ("consent", "consent", "audit"):
        migrate.migrate(name, values)
    engine = create_engine(f"sqlite:///{tmp_path}/consent.db")
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "c0002"
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from-a-newer-release'"))
    migrate.migrate("consent", values)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "from-a-newer-release"
    engine.dispose()


class Network:
    """Answers by script, remembers what was asked."""

    def __init__(self, *answers: int | type[Exception]) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []
        self.tokens = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            self.tokens += 1
            return httpx.Response(200, json={"access_token": f"token-{self.tokens}", "expires_in": 900})
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, int):
            return httpx.Response(answer, json={})
        raise answer("gone", request=request)


def client(tmp_path: Path, network: Any, clock: FixedClock) -> ServiceClient:
    return ServiceClient(
        make_settings("records", tmp_path),
        make_telemetry("records", "test"),
        clock,
        transport=httpx.MockTransport(network),
        sleep=lambda _: None,
    )


def test_reads_are_retried_and_tokens_kept(tmp_path: Path, clock: FixedClock) -> None:
    network = Network(503, httpx.ConnectError, 200, 200, 200)
    caller = client(tmp_path, network, clock)
    assert caller.get("consent", "/v1/decisions", params={"a": "b"}).status_code == 200
    assert len(network.asked) == 3
    caller.get("consent", "/x")
    assert network.tokens == 1
    clock.advance(minutes=14, seconds=1)
    caller.get("consent", "/x")
    assert network.tokens == 2


def test_posts_are_repeated_only_with_a_key(tmp_path: Path, clock: FixedClock) -> None:
    network = Network(503, 503, 201)
    caller = client(tmp_path, network, clock)
    with pytest.raises(ProblemError) as caught:
        caller.post("consent", "/x", json={})
    assert caught.value.status_code == 503
    assert caught.value.extra == {"dependency": "consent"}
    assert caller.post("consent", "/x", json={}, idempotency_key="k" * 8).status_code == 201


def test_a_refused_token_is_renewed_once(tmp_path: Path, clock: FixedClock) -> None:
    network = Network(401, 200, 401, 401)
    caller = client(tmp_path, network, clock)
    assert caller.get("consent", "/x").status_code == 200
    assert [request.headers["authorization"] for request in network.asked] == [
        "Bearer token-1",
        "Bearer token-2",
    ]
    assert caller.get("consent", "/x").status_code == 401


def test_other_answers_are_the_callers_business(tmp_path: Path, clock: FixedClock) -> None:
    network = Network(404, 500)
    caller = client(tmp_path, network, clock)
    assert caller.get("consent", "/x").status_code == 404
    with pytest.raises(ProblemError):
        caller.get("consent", "/x")
    assert network.answers == []


def test_the_trace_goes_along(tmp_path: Path, clock: FixedClock) -> None:
    network = Network(200)
    client(tmp_path, network, clock).get("consent", "/x")
    assert network.asked[0].headers["traceparent"].startswith("00-")


def test_without_identity_there_is_no_call(tmp_path: Path, clock: FixedClock) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, json={"error": "invalid_client"})

    with pytest.raises(ProblemError, match="identity"):
        client(tmp_path, refuse, clock).get("consent", "/x")
