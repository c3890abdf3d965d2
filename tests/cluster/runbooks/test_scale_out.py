"""A service gets a second replica; more than there is room for is refused before anything is done."""

from __future__ import annotations

import pytest

from tests.cluster.conftest import RunningPlatform
from tests.cluster.runbooks.calling import active
from tests.cluster.runbooks.rehearsing import rehearse
from vitalops.conventions import NAMESPACE_SERVICES

pytestmark = pytest.mark.rehearsal

SERVICE = "scheduling"


def test_one_replica_more(running_platform: RunningPlatform) -> None:
    region = active(running_platform)

    def ready() -> int:
        found = running_platform.kubectl_json(region, "-n", NAMESPACE_SERVICES, "get", "deployment", SERVICE)
        return int(found["status"].get("readyReplicas", 0))

    before = ready()
    where = ("--service", SERVICE, "--region", region)
    try:
        refused = running_platform.vitalops(
            "--yes", "runbook", "run", "scale-out", *where, "--replicas", "100", check=False
        )
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert "has room for" in refused.stdout + refused.stderr
        assert ready() == before
        rehearse(running_platform, "scale-out", *where, "--replicas", str(before + 1))
        assert ready() == before + 1
    finally:
        count = f"--replicas={before}"
        running_platform.kubectl(region, "-n", NAMESPACE_SERVICES, "scale", f"deployment/{SERVICE}", count)
