"""Calls of two test participants through the edge of the running platform, for as long as a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from infra.edge.process import EdgeProcess
from infra.operations.media import LiveKitMedia
from infra.operations.running import OperatedPlatform
from infra.operations.setting import Setting
from infra.traffic.edge import EdgeDirector
from tests.cluster.conftest import RunningPlatform
from vitalops.consultation.call import ProcessCall, Seat
from vitalops.consultation.quality import Reception
from vitalops.paths import Paths


def operated(running: RunningPlatform) -> OperatedPlatform:
    pair = running.pair
    return OperatedPlatform(Setting(running.platform, Paths.from_environment(), (pair.primary, pair.standby)))


def edge_of(running: RunningPlatform) -> EdgeDirector:
    found = operated(running).directors(running.pair)[0]
    assert isinstance(found, EdgeDirector)
    assert isinstance(found.process, EdgeProcess)
    return found


def media_of(running: RunningPlatform, region: str) -> LiveKitMedia:
    found = operated(running).media(region)
    assert isinstance(found, LiveKitMedia)
    return found


def seats(running: RunningPlatform, room: str) -> tuple[Seat, ...]:
    from livekit.api import AccessToken, VideoGrants

    secret = running.access.secrets.get(f"{running.pair.name}/media/api-secret")
    assert secret is not None
    key, grants = f"vitalops-{running.pair.name}", VideoGrants(room_join=True, room=room)
    return tuple(
        Seat(name, AccessToken(key, secret).with_identity(name).with_grants(grants).to_jwt())
        for name in ("patient", "practitioner")
    )


@dataclass
class Talk:
    """A call under way: media flows both ways when it is handed out."""

    call: ProcessCall

    async def measured(self) -> tuple[Reception, ...]:
        """What each heard and saw over the seconds that were agreed on, from when media flowed."""
        return await self.call.measured()


@asynccontextmanager
async def talking(running: RunningPlatform, room: str, seconds: float) -> AsyncIterator[Talk]:
    async with ProcessCall(running.ca_file) as call:
        await call.begin(running.edge_url.replace("https", "wss"), seats(running, room), seconds)
        await call.joined()
        await call.flowing()
        yield Talk(call)
        await call.leave()


async def rooms(running: RunningPlatform, region: str) -> set[str]:
    """Names of the rooms in which somebody is."""
    media = media_of(running, region)
    return {call.room for call in await asyncio.to_thread(media.calls)}
