"""The running platform with a pager on this machine, for the tests of this folder that take a service away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.outage import Watched, watched
from tests.cluster.conftest import ROOT, RunningPlatform


@pytest.fixture(scope="module")
def platform_with_pager(
    running_platform: RunningPlatform, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    del running_platform  # it must run, as the bundled file says
    with watched(tmp_path_factory.mktemp("pager"), source=ROOT / "platform.yaml") as platform:
        yield platform
