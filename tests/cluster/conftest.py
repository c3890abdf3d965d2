"""The platform of platform.yaml, running on two real local regions, for the tests that need it.

It is brought up once, by the command that a user would type. A platform that ran before the tests goes on running
after them; one that they started is stopped again, its data kept.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from vitalops.consultation.access import Access, access_to
from vitalops.model.loader import load_platform
from vitalops.model.platform import FailoverPair, Platform
from vitalops.model.selection import resolve_pair
from vitalops.paths import Paths

ROOT = Path(__file__).resolve().parents[2]
VITALOPS = Path(sys.executable).parent / "vitalops"
UP_SECONDS = 3600
"""From a bare machine `up` builds Kubernetes and the images first."""


@dataclass(frozen=True, slots=True)
class RunningPlatform:
    """The bundled platform and the ways to it."""

    platform: Platform
    pair: FailoverPair
    access: Access
    ca_file: Path

    @property
    def edge_url(self) -> str:
        return self.access.edge_url

    def kubeconfig(self, region: str) -> Path:
        return Paths.from_environment().kubeconfig(region)

    def vitalops(
        self, *arguments: str, check: bool = True, seconds: float = 600
    ) -> subprocess.CompletedProcess[str]:
        return vitalops(*arguments, check=check, seconds=seconds)

    def kubectl(self, region: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return vitalops("regions", "shell", region, "--", "kubectl", *arguments, check=check)

    def kubectl_json(self, region: str, *arguments: str) -> Any:
        return json.loads(self.kubectl(region, *arguments, "-o", "json").stdout)


def vitalops(*arguments: str, check: bool = True, seconds: float = 600) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user would, from the project's root; a failure shows what it printed."""
    done = subprocess.run(
        [str(VITALOPS), *arguments], cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False
    )
    if check and done.returncode:
        pytest.fail(f"vitalops {' '.join(arguments)} exited {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


@pytest.fixture(scope="session", autouse=True)
def local_regions_are_possible() -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.exit("cluster tests make real local regions: they need Linux and root", returncode=2)


@pytest.fixture(scope="session")
def running_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    platform = load_platform(ROOT / "platform.yaml", datetime.now(UTC).date())
    pair = resolve_pair(platform, None)
    before = json.loads(vitalops("regions", "list", "--output", "json").stdout)
    ran_before = any(region["state"] != "stopped" for region in before)
    vitalops("--yes", "up", seconds=UP_SECONDS)
    access = access_to(platform, pair, Paths.from_environment())
    with access.authority_file() as authority:
        ca_file = tmp_path_factory.mktemp("authority") / "ca.crt"
        ca_file.write_bytes(authority.read_bytes())
    yield RunningPlatform(platform, pair, access, ca_file)
    if not ran_before:
        vitalops("regions", "stop")
