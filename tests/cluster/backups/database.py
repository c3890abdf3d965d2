"""A pair's writing region, asked through the container that makes its backups."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster.conftest import RunningPlatform
from vitalops.conventions import NAMESPACE_BACKUPS, NAMESPACE_DATA, OBJECTS_SERVICE
from vitalops.paths import Paths

SCRATCH = "vitalops_test"
"""A database of the tests' own."""


@dataclass(frozen=True)
class Source:
    """The region whose database writes, and the one that holds its backups."""

    running: RunningPlatform
    region: str
    holder: str

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command in the container `backup` of the primary's pod."""
        pod = f"postgres-{self.region}-0"
        return self.running.kubectl(
            self.region, "-n", NAMESPACE_DATA, "exec", pod, "-c", "backup", "--", *command, check=check
        )

    def sql(self, text: str, database: str = "postgres") -> str:
        return self.run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", text).stdout.strip()

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("python3", "-m", "vitalops.backup", "state").stdout)
        return found

    def server(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command in the S3 server's container."""
        return self.running.kubectl(
            self.holder,
            "-n",
            NAMESPACE_BACKUPS,
            "exec",
            f"{OBJECTS_SERVICE}-0",
            "-c",
            OBJECTS_SERVICE,
            "--",
            *command,
            check=check,
        )

    def scale_server(self, replicas: int) -> None:
        self.running.kubectl(
            self.holder,
            "-n",
            NAMESPACE_BACKUPS,
            "scale",
            f"statefulset/{OBJECTS_SERVICE}",
            f"--replicas={replicas}",
        )

    @contextmanager
    def own_database(self) -> Generator[str]:
        """An empty database, gone afterwards."""
        self.sql(f"DROP DATABASE IF EXISTS {SCRATCH} WITH (FORCE)")
        self.sql(f"CREATE DATABASE {SCRATCH}")
        try:
            yield SCRATCH
        finally:
            self.sql(f"DROP DATABASE IF EXISTS {SCRATCH} WITH (FORCE)")

    def switch(self) -> str:
        """Ends the current WAL segment, and gives its name."""
        self.sql("SELECT pg_current_xact_id()")
        return self.sql("SELECT pg_walfile_name(pg_switch_wal())")


def source_of(running: RunningPlatform) -> Source:
    from infra.program.state import active_region

    pair = running.pair
    region = active_region(Paths.from_environment().state, running.platform.name, pair)
    return Source(running, region, pair.standby if region == pair.primary else pair.primary)


def eventually(what: str, reached: Callable[[], bool], seconds: float = 60.0, every: float = 0.5) -> float:
    """Seconds until `reached`; fails the test where that takes longer."""
    began = time.monotonic()
    while not reached():
        if time.monotonic() - began > seconds:
            pytest.fail(f"{what}: not within {seconds:g} s")
        time.sleep(every)
    return time.monotonic() - began
