"""The whole platform in memory is a `RunningPlatform`, and says what was done to it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from vitalops.errors import RemoteError, UsageError, VitalopsError
from vitalops.model.loader import load_platform
from vitalops.model.platform import Platform
from vitalops.ports.fakes import FakeRunning
from vitalops.ports.progress import RecordedProgress
from vitalops.ports.running import RunningPlatform

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def platform() -> Platform:
    return load_platform(ROOT / "platform.yaml", date(2026, 10, 1))


def test_every_region_is_there_and_stays_the_same(platform: Platform) -> None:
    running: RunningPlatform = FakeRunning(platform)
    for region in platform.regions:
        running.cluster(region).request("PUT", "/api/x", body={"region": region})
    assert [
        running.cluster(region).request("GET", "/api/x")["region"] for region in platform.regions
    ] == list(platform.regions)


def test_a_lost_region_answers_nothing(platform: Platform) -> None:
    running = FakeRunning(platform, lost={"fr-par"})
    for way in (running.cluster, running.metrics, running.alerts, running.database):
        with pytest.raises(RemoteError, match="fr-par does not answer"):
            way("fr-par")
    with pytest.raises(RemoteError):
        running.bring_up(["fr-gra", "fr-par"], RecordedProgress())
    assert running.effects == []


def test_what_was_not_put_in_is_not_there(platform: Platform) -> None:
    with pytest.raises(VitalopsError, match="database are not available"):
        FakeRunning(platform).database("fr-par")
    with pytest.raises(UsageError, match="no region nowhere"):
        FakeRunning(platform).cluster("nowhere")


def test_effects_are_listed_in_order(platform: Platform) -> None:
    running = FakeRunning(platform)
    pair = platform.pairs["france"]
    assert running.active_region(pair) == "fr-par"
    running.bring_up(("fr-gra",), RecordedProgress())
    running.set_active_region(pair, "fr-gra")
    assert running.consult(pair, 5.0).verified
    assert running.effects == ["up fr-gra", "active france fr-gra", "consult france"]
    assert running.active_region(pair) == "fr-gra"
    assert running.directors(pair)[0].active() == "fr-gra"
