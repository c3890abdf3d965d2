"""What every test may use: golden files, the Hypothesis profile, and the marker of cluster tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parent.parent

# No deadline: other work on the machine must not fail a test. The same examples each time where CI is set.
settings.register_profile(
    "vitalops",
    deadline=None,
    max_examples=100,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("vitalops")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what is produced into the golden files that differ",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    cluster = ROOT / "tests" / "cluster"
    for item in items:
        if item.path.is_relative_to(cluster):
            item.add_marker(pytest.mark.cluster)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path | str, str], None]:
    """`golden(path, actual)`: fails where `actual` is not what the file holds.

    A relative path is in the folder `golden` beside the test. `pytest --update-golden` writes the files.
    """

    def check(path: Path | str, actual: str) -> None:
        file = request.path.parent / "golden" / path
        if request.config.getoption("--update-golden"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(actual, encoding="utf-8")
            return
        assert file.exists(), f"{file} does not exist: write it with --update-golden"
        assert actual == file.read_text(encoding="utf-8"), f"{file} differs: look, then --update-golden"

    return check


@pytest.fixture
def root() -> Path:
    """The project's folder."""
    return ROOT
