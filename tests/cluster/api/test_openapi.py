"""Through the real edge and gateway, every service answers as its OpenAPI document says and wants a token."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from tests.cluster.conftest import RunningPlatform
from vitalops.consultation import people
from vitalops.consultation.before import SCOPE, WEB_CLIENT
from vitalops.consultation.http import Edge, trust
from vitalops.consultation.signin import Application

SERVICES = (
    "audit", "consent", "consultation", "identity", "notification", "payment", "prescription", "records",
    "scheduling",
)  # fmt: skip
EXAMPLES = 5
NOT_ASKED = [
    # A rule of the domain may refuse what fits the schema; it is documented as 422.
    positive_data_acceptance,
    # Tried below, on every operation.
    ignored_auth,
]


@dataclass(frozen=True, slots=True)
class Callers:
    """Access tokens by role, obtained as their owners obtain them."""

    tokens: dict[str, str]


async def sign_everybody_in(running: RunningPlatform) -> Callers:
    edge = Edge.over_tls(running.edge_url, running.ca_file)
    try:
        operator = await people.operator_token(edge, running.access.operator_secret())
        application = Application(WEB_CLIENT, f"{edge.url}/callback", SCOPE)
        patient = await people.register_patient(edge)
        practitioner = await people.enrol_practitioner(edge, operator)
        for person in (patient, practitioner):
            await people.let_in(edge, application, person)
    finally:
        await edge.aclose()
    return Callers({"patient": patient.token, "practitioner": practitioner.token, "operator": operator})


@pytest.fixture(scope="module")
def callers(running_platform: RunningPlatform) -> Callers:
    return asyncio.run(sign_everybody_in(running_platform))


@pytest.fixture(scope="module")
def session(running_platform: RunningPlatform) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False  # else REQUESTS_CA_BUNDLE wins over the next line
        session.verify = str(running_platform.ca_file)
        yield session


def document(running: RunningPlatform, session: requests.Session, service: str) -> dict[str, object]:
    """Public: a developer reads it before having a token."""
    answer = session.get(f"{running.edge_url}/{service}/openapi.json", timeout=10)
    assert answer.status_code == 200, f"{service}/openapi.json answered {answer.status_code}"
    return answer.json()


@pytest.mark.parametrize("role", ["patient", "practitioner", "operator"])
@pytest.mark.parametrize("service", SERVICES)
def test_answers_as_documented(
    running_platform: RunningPlatform, session: requests.Session, callers: Callers, service: str, role: str
) -> None:
    schema = schemathesis.openapi.from_dict(document(running_platform, session, service))
    authorization = {"authorization": f"Bearer {callers.tokens[role]}"}
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(max_examples=EXAMPLES, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def conforms(case: Case) -> None:
            nonlocal tried
            tried += 1
            case.call_and_validate(
                base_url=f"{running_platform.edge_url}/{service}",
                session=session,
                verify=str(running_platform.ca_file),
                headers=authorization,
                excluded_checks=NOT_ASKED,
            )

        conforms()
    assert tried


@pytest.mark.parametrize("service", SERVICES)
def test_refuses_without_a_token(
    running_platform: RunningPlatform, session: requests.Session, service: str
) -> None:
    described = document(running_platform, session, service)
    protected = [
        (method.upper(), path)
        for path, operations in described["paths"].items()  # type: ignore[attr-defined]
        for method, operation in operations.items()
        if operation.get("security")
    ]
    assert protected
    with httpx.Client(base_url=running_platform.edge_url, verify=trust(running_platform.ca_file)) as client:
        for method, path in protected:
            answer = client.request(method, f"/{service}{re.sub('[{}]', '', path)}")
            assert answer.status_code == 401, f"{method} {service}{path} answered {answer.status_code}"
            assert "www-authenticate" in answer.headers
