"""Commits no longer wait for the other region, and wait again."""

from __future__ import annotations

import json

import pytest

from tests.cluster.conftest import RunningPlatform
from tests.cluster.runbooks.rehearsing import rehearse

pytestmark = pytest.mark.rehearsal


def replication(running: RunningPlatform) -> tuple[str, str]:
    """As it is, and as it is meant."""
    found = json.loads(running.vitalops("--output", "json", "status", check=False).stdout)
    pair = next(each for each in found["pairs"] if each["pair"] == running.pair.name)
    return pair["replication"], pair["meant"]


def test_degrading_and_the_way_back(running_platform: RunningPlatform) -> None:
    pair = ("--pair", running_platform.pair.name)
    assert replication(running_platform) == ("synchronous", "synchronous")
    try:
        rehearse(running_platform, "degrade-to-async", *pair)
        assert replication(running_platform) == ("asynchronous", "asynchronous")
    finally:
        running_platform.vitalops("--yes", "runbook", "run", "degrade-to-async", *pair, "--restore")
    assert replication(running_platform) == ("synchronous", "synchronous")
