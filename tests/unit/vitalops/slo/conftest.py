from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from vitalops.model.loader import load_platform
from vitalops.model.platform import Platform


@pytest.fixture(scope="session")
def bundled() -> Platform:
    return load_platform(Path(__file__).parents[4] / "platform.yaml", date(2026, 6, 1))
