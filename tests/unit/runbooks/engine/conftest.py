"""An engine in memory, on a world that counts what is done to it."""

from __future__ import annotations

import pytest

from runbooks.engine.testing import Kept
from tests.unit.runbooks.engine.trial import World
from vitalops.model.platform import Platform
from vitalops.ports.fakes import FakeRunning


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def running(platform: Platform) -> FakeRunning:
    return FakeRunning(platform)


@pytest.fixture
def kept() -> Kept:
    return Kept()
