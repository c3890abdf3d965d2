"""Every certificate of the pair is replaced while a client goes on asking, and is refused nothing."""

from __future__ import annotations

import pytest

from runbooks.certificate_rotation import shown_at
from tests.cluster.conftest import RunningPlatform
from tests.cluster.runbooks.calling import Caller
from tests.cluster.runbooks.rehearsing import rehearse

pytestmark = pytest.mark.rehearsal


def test_certificates_are_replaced_without_a_refusal(running_platform: RunningPlatform) -> None:
    before = shown_at(running_platform.edge_url)
    with Caller(running_platform) as caller:
        run = rehearse(
            running_platform, "certificate-rotation", "--pair", running_platform.pair.name, seconds=1200
        )
    assert shown_at(running_platform.edge_url) != before
    assert {"gateway", "edge", "postgres"} <= set(run["outputs"]["issue"]["expires"])
    assert caller.refused == []
    assert sum(caller.answers.values()) > 50
