"""Rehearsal of drain-media-node: a call runs on, another begins elsewhere, and the empty server is restarted."""

from __future__ import annotations

import asyncio
import time
import uuid

import pytest

from tests.cluster.conftest import RunningPlatform
from tests.cluster.runbooks.rehearsing import rehearse
from tests.cluster.traffic.talks import edge_of, rooms, talking

pytestmark = pytest.mark.rehearsal

STEP_SECONDS = 90.0


def test_a_media_server_is_emptied_without_cutting_its_call(running_platform: RunningPlatform) -> None:
    edge, pair = edge_of(running_platform), running_platform.pair
    home = edge.active()
    away = pair.standby if home == pair.primary else pair.primary
    first, second = (f"test-{uuid.uuid4().hex[:8]}" for _ in range(2))

    def drain() -> None:
        rehearse(running_platform, "drain-media-node", "--region", home, "--wait-seconds", "120")

    async def scene() -> None:
        async with talking(running_platform, first, 3.0) as call:
            draining = asyncio.create_task(asyncio.to_thread(drain))
            deadline = time.monotonic() + STEP_SECONDS
            while await asyncio.to_thread(edge.calls_lead_to) != away:
                assert not draining.done(), draining.result()
                assert time.monotonic() < deadline
                await asyncio.sleep(0.2)
            async with talking(running_platform, second, 0.5) as other:
                assert second in await rooms(running_platform, away)
                assert first in await rooms(running_platform, home)
                await other.measured()
            receptions = await call.measured()
            assert not draining.done()
        for reception in receptions:
            assert reception.frames_decoded >= 0.8 * reception.frames_sent
        await draining

    asyncio.run(scene())
    assert edge.calls_lead_to() == ""
    assert edge.active() == home
