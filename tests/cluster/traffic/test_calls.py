"""Calls that run while the edge is switched: they keep their media, and new ones begin where they should."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from tests.cluster.conftest import RunningPlatform
from tests.cluster.traffic.talks import edge_of, rooms, talking
from vitalops.model.selection import pair_of

pytestmark = pytest.mark.rehearsal

MEASURED_SECONDS = 6.0
LEAST_DECODED = 0.8
"""Share of the frames sent that are decoded, as the gate of a verification has it."""


def test_a_running_call_keeps_its_media_through_a_switch(running_platform: RunningPlatform) -> None:
    edge = edge_of(running_platform)
    home = edge.active()
    assert pair_of(running_platform.platform, home) == running_platform.pair
    pair = running_platform.pair
    away = pair.standby if home == pair.primary else pair.primary
    first, second = (f"test-{uuid.uuid4().hex[:8]}" for _ in range(2))

    async def talk() -> None:
        async with talking(running_platform, first, MEASURED_SECONDS) as call:
            measuring = asyncio.create_task(call.measured())
            await asyncio.sleep(1)
            await asyncio.to_thread(edge.switch, away)
            try:
                assert first in await rooms(running_platform, home)
                async with talking(running_platform, second, 0.5) as other:
                    assert second in await rooms(running_platform, away)
                    await other.measured()
                receptions = await measuring
                assert first in await rooms(running_platform, home)
            finally:
                await asyncio.to_thread(edge.switch, home)
            for reception in receptions:
                print(f"{reception.receiver}: {reception.frames_decoded} of {reception.frames_sent} frames")
                assert reception.frames_sent > MEASURED_SECONDS
                assert reception.frames_decoded >= LEAST_DECODED * reception.frames_sent
                assert reception.audio.packets > 0

    asyncio.run(talk())
    assert edge.active() == home
