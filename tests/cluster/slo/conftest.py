"""Compiled rules, and the programs that judge them and serve histories; no region is started for these tests."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.local.toolchain.system import ensure_system
from vitalops.model.loader import load_platform
from vitalops.model.platform import Platform
from vitalops.ports.progress import SilentProgress


@pytest.fixture(scope="session")
def promtool() -> str:
    return ensure_system(["promtool"], SilentProgress())["promtool"]


@pytest.fixture(scope="session")
def platform() -> Platform:
    root = Path(__file__).resolve().parents[3]
    return load_platform(root / "platform.yaml", datetime.now(UTC).date())


@pytest.fixture(scope="session")
def histories() -> None:
    """The programs that histories are made and served with."""
    ensure_system(("prometheus", "promtool"), SilentProgress())
