"""A release whose pods do not become ready is rolled back, and nobody notices."""

from __future__ import annotations

import time

import pytest

from tests.cluster.conftest import RunningPlatform
from tests.cluster.runbooks.calling import Caller, active
from tests.cluster.runbooks.rehearsing import rehearse
from vitalops.conventions import NAMESPACE_SERVICES

pytestmark = pytest.mark.rehearsal

SERVICE = "records"


def test_a_release_that_does_not_start_is_rolled_back(running_platform: RunningPlatform) -> None:
    region = active(running_platform)

    def spec() -> dict[str, object]:
        found = running_platform.kubectl_json(region, "-n", NAMESPACE_SERVICES, "get", "deployment", SERVICE)
        return dict(found["spec"]["template"]["spec"])

    good = spec()
    broken = "VITALOPS_DATABASE_URL=postgresql://nowhere.invalid/"
    with Caller(running_platform) as caller:
        running_platform.kubectl(
            region, "-n", NAMESPACE_SERVICES, "set", "env", f"deployment/{SERVICE}", broken
        )
        time.sleep(3)
        run = rehearse(running_platform, "service-rollback", "--service", SERVICE, "--region", region)
    assert run["outputs"]["choose"]["from"] != run["outputs"]["choose"]["to"]
    assert spec() == good
    assert caller.refused == []
