"""The bundled platform."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from vitalops.model.loader import load_platform
from vitalops.model.platform import Platform

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def platform() -> Platform:
    return load_platform(ROOT / "platform.yaml", date(2026, 11, 22))
