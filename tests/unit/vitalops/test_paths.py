from __future__ import annotations

from pathlib import Path

import pytest

from vitalops.paths import Paths


def test_folders_follow_xdg_and_each_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "VITALOPS_CACHE", "VITALOPS_STATE", "VITALOPS_RUN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", "/home/op")
    assert Paths.from_environment() == Paths(
        Path("/home/op/.cache/vitalops"), Path("/home/op/.local/state/vitalops"), Path("/run/vitalops")
    )
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    monkeypatch.setenv("XDG_STATE_HOME", "/s")
    assert Paths.from_environment().cache == Path("/c/vitalops")
    assert Paths.from_environment().state == Path("/s/vitalops")
    monkeypatch.setenv("VITALOPS_CACHE", "/mine")
    monkeypatch.setenv("VITALOPS_RUN", "/r")
    assert Paths.from_environment().cache == Path("/mine")
    assert Paths.from_environment().run == Path("/r")
