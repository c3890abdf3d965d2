"""Every service answers as its OpenAPI document says, and refuses whoever has no token.

Schemathesis makes the requests from the document. The services run in this process, on SQLite; the cluster tests ask
the same of the real ones.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
import schemathesis
from cryptography.fernet import Fernet
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from joserfc.jwk import ECKey
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from services.common.testing import FixedClock, TestClient, TokenSigner, make_test_app

SERVICES = (
    "audit", "consent", "consultation", "identity", "notification", "payment", "prescription", "records",
    "scheduling",
)  # fmt: skip
ROLES = ("patient", "practitioner", "service", "operator")
EXAMPLES = 3
NOT_ASKED = [
    # A rule of the domain may refuse what fits the schema; it is documented as 422.
    positive_data_acceptance,
    # Tried below, on every operation.
    ignored_auth,
    # No other service answers here, so 503 is the truth; any other 5xx fails below.
    not_a_server_error,
]


def write_secrets(folder: Path) -> None:
    """The secrets that identity, consultation and prescription do not start without."""
    pem = ECKey.generate_key("P-256").as_pem(private=True).decode()
    ring = json.dumps([{"kid": "k0", "private_pem": pem, "not_before": 0}])
    for name, content in {
        "signing-keys.json": ring,
        "prescription-signing-keys.json": ring,
        "clients.json": "{}",
        "field-key": Fernet.generate_key().decode(),
        "livekit-api-key": "APIkey",
        "livekit-api-secret": "a-livekit-secret-of-some-length-0123456789",
    }.items():
        (folder / name).write_text(content)


@pytest.fixture(params=SERVICES)
def application(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[FastAPI, TokenSigner]:
    service = importlib.import_module(f"services.{request.param}.service").SERVICE
    write_secrets(tmp_path)
    clock = FixedClock()
    signer = TokenSigner(clock)
    # Nothing listens on the discard port: consultation finds no media server.
    environment = {
        "VITALOPS_LIVEKIT_URL": "http://127.0.0.1:9",
        "VITALOPS_LIVEKIT_PUBLIC_URL": "wss://video.example",
    }
    return make_test_app(service, tmp_path, clock, signer, environment=environment), signer


@pytest.mark.parametrize("role", ROLES)
def test_answers_as_documented(application: tuple[FastAPI, TokenSigner], role: str) -> None:
    app, signer = application
    authorization = {"authorization": f"Bearer {signer.token(role)}"}
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(max_examples=EXAMPLES, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def conforms(case: Case) -> None:
            answer = case.call_and_validate(headers=authorization, excluded_checks=NOT_ASKED)
            assert answer.status_code < 500 or answer.status_code == 503

        conforms()


def test_refuses_without_a_token(application: tuple[FastAPI, TokenSigner]) -> None:
    app, _ = application
    document = app.openapi()
    protected = [
        (method, path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if operation.get("security")
    ]
    assert protected
    with TestClient(app) as client:
        for method, path in protected:
            answer = client.request(method, path.replace("{", "").replace("}", ""))
            assert answer.status_code == 401, f"{method} {path} answered {answer.status_code}"
            assert answer.headers["content-type"].startswith("application/")
