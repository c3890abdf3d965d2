"""What runbooks reach: made when asked for, once, and kept apart by region."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.operations.running import OperatedPlatform
from infra.operations.setting import Setting
from vitalops.errors import RemoteError, UsageError
from vitalops.model.platform import Platform
from vitalops.paths import Paths
from vitalops.ports.running import RunningPlatform


@dataclass(frozen=True, slots=True)
class Connecting(Setting):
    """A setting that counts its connections; the region `slow` waits until it is let go."""

    made: list[str] = field(default_factory=list[str])
    slow: str = ""
    let_go: threading.Event = field(default_factory=threading.Event)

    def connect(self, region: str) -> Any:
        if region == self.slow:
            self.let_go.wait(5)
        self.made.append(region)
        return f"api of {region}"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "cache", tmp_path / "state", tmp_path / "run")


def test_a_region_is_connected_once(platform: Platform, paths: Paths) -> None:
    setting = Connecting(platform, paths, ())
    running = OperatedPlatform(setting)
    assert setting.made == []
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(running.cluster, ["fr-par", "fr-gra"] * 8))
    assert found == {"api of fr-par", "api of fr-gra"}
    assert sorted(setting.made) == ["fr-gra", "fr-par"]


def test_a_slow_region_does_not_hold_up_the_other(platform: Platform, paths: Paths) -> None:
    setting = Connecting(platform, paths, (), slow="fr-par")
    running = OperatedPlatform(setting)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(running.cluster, "fr-par")
        assert running.cluster("fr-gra") == "api of fr-gra"
        assert not waiting.done()
        setting.let_go.set()
        assert waiting.result() == "api of fr-par"


def test_regions_of_no_platform_are_refused(platform: Platform, paths: Paths) -> None:
    running: RunningPlatform = OperatedPlatform(Setting(platform, paths, ()))
    for way in (running.cluster, running.database, running.backups, running.media):
        with pytest.raises(UsageError, match="no region nowhere"):
            way("nowhere")


def test_a_region_that_is_not_there_is_told(platform: Platform, paths: Paths) -> None:
    with pytest.raises(RemoteError, match="kubeconfig cannot be used"):
        OperatedPlatform(Setting(platform, paths, ())).metrics("fr-par")


def test_the_active_region_is_remembered(platform: Platform, paths: Paths) -> None:
    pair = platform.pairs["france"]
    running = OperatedPlatform(Setting(platform, paths, ()))
    assert running.active_region(pair) == "fr-par"
    running.set_active_region(pair, "fr-gra")
    assert OperatedPlatform(Setting(platform, paths, ())).active_region(pair) == "fr-gra"
    with pytest.raises(UsageError, match="no region of pair"):
        running.set_active_region(pair, "ch-gva")
