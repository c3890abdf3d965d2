"""The bundled platform and its dashboards."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from dashboards.check import Period
from dashboards.compile import dashboards_of
from dashboards.model import Dashboard
from vitalops.model.loader import load_platform
from vitalops.model.platform import Platform


@pytest.fixture(scope="session")
def platform() -> Platform:
    return load_platform(Path(__file__).parents[3] / "platform.yaml", date(2026, 11, 22))


@pytest.fixture(scope="session")
def dashboards(platform: Platform) -> tuple[Dashboard, ...]:
    return dashboards_of(platform)


@pytest.fixture
def period() -> Period:
    return Period(datetime(2026, 11, 22, 12, tzinfo=UTC), timedelta(hours=1), timedelta(seconds=5))
