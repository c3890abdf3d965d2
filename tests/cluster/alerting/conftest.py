"""The running platform with a pager on this machine, for the tests of this folder that take a service away."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from bench.outage import Watched, watched
from runbooks.serve.web import WEBHOOK_PATH
from tests.cluster.conftest import ROOT, VITALOPS, RunningPlatform
from vitalops.model.addresses import WAN_HOST_ADDRESS


@pytest.fixture(scope="module")
def receiver_for_people_on_call(running_platform: RunningPlatform) -> Iterator[str]:
    """`vitalops runbook serve` where the regions reach it; its URL."""
    del running_platform  # it must have its secrets
    command = [str(VITALOPS), "runbook", "serve", "--listen", f"{WAN_HOST_ADDRESS}:0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"https://\S+(?=/v1/alerts)", process.stdout.readline())
        assert found is not None
        yield found[0]
        process.terminate()
        assert process.wait(timeout=30) == 0


@pytest.fixture(scope="module")
def platform_with_pager(
    running_platform: RunningPlatform,
    receiver_for_people_on_call: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Watched]:
    del running_platform  # it must run, as the bundled file says
    on_call = receiver_for_people_on_call + WEBHOOK_PATH
    with watched(
        tmp_path_factory.mktemp("pager"), source=ROOT / "platform.yaml", on_call=on_call
    ) as platform:
        yield platform
