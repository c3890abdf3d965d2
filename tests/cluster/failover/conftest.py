"""The running platform as runbooks see it, and the pair as it must be before and after each test."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from infra.local.regions import faults
from infra.operations.running import OperatedPlatform
from infra.operations.setting import Setting
from tests.cluster.conftest import RunningPlatform
from tests.cluster.failover.partitions import Databases
from vitalops.errors import RemoteError
from vitalops.model.failover import Replication
from vitalops.paths import Paths
from vitalops.ports.database import DatabaseState


@pytest.fixture
def operated(running_platform: RunningPlatform) -> Iterator[OperatedPlatform]:
    """Both regions replicate synchronously before the test, and after it, and fr-par is active."""
    pair = running_platform.pair
    setting = Setting(running_platform.platform, Paths.from_environment(), (pair.primary, pair.standby))
    made = OperatedPlatform(setting)
    assert until_replicating(made, pair.primary, pair.standby).standing is not None
    yield made
    faults.clear()
    until_replicating(made, pair.primary, pair.standby)


@pytest.fixture
def databases(operated: OperatedPlatform, running_platform: RunningPlatform) -> Databases:
    return Databases.of(operated, running_platform.pair.name)


def until_replicating(
    operated: OperatedPlatform, active: str, standby: str, seconds: float = 180.0
) -> DatabaseState:
    """Until `active` takes writes and its commits wait for `standby`, which follows it."""
    deadline = time.monotonic() + seconds
    last = "nothing"
    while True:
        try:
            state, other = operated.database(active).state(), operated.database(standby).state()
            follows = any(follower.synchronous for follower in state.followers)
            waits = state.replication is Replication.SYNCHRONOUS
            # What the standby's guard has heard is what a failover counts on.
            token = state.standing.token if state.standing else None
            promised = other.guard is not None and other.guard.waited == token
            if state.writable and follows and waits and promised and not other.writable:
                return state
            last = (
                f"{active} is {state.role} and waits for {state.waits_for or 'nobody'}, "
                f"{standby} is {other.role}{' and streams' if other.streaming else ''}"
            )
        except RemoteError as error:
            last = error.message
        assert time.monotonic() < deadline, (
            f"{active} and {standby} do not replicate in {seconds:g} s: {last}"
        )
        time.sleep(0.5)
