"""A region's only database member starts anew, and works afterwards."""

from __future__ import annotations

import pytest

from tests.cluster.conftest import RunningPlatform
from tests.cluster.runbooks.rehearsing import rehearse

pytestmark = pytest.mark.rehearsal


def test_the_standbys_leader_is_replaced(running_platform: RunningPlatform) -> None:
    region = running_platform.pair.standby
    run = rehearse(running_platform, "database-leader-replace", "--region", region)
    assert run["outputs"]["replace"]["leader"] == f"postgres-{region}-0"
