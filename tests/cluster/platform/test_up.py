"""`up` on two real regions: repeated, interrupted, refused, and repairing what was broken meanwhile."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from infra.components.declare import declare
from infra.components.kit import container_security, pod_security
from infra.engines.embedded import EmbeddedEngine
from infra.engines.lock import StackLock
from infra.engines.protocol import Stack
from infra.engines.rollout import RolloutFailed
from infra.kube import KubeApi
from infra.local.images.build import image_references
from infra.operations.setting import Setting
from infra.program.access import cluster_access
from tests.cluster.conftest import ROOT, VITALOPS, RunningPlatform
from vitalops import conventions as c
from vitalops.paths import Paths
from vitalops.ports.progress import RecordedProgress, SilentProgress


@pytest.fixture
def setting(running_platform: RunningPlatform) -> Setting:
    pair = running_platform.pair
    return Setting(running_platform.platform, Paths.from_environment(), (pair.primary, pair.standby))


def counts(stdout: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for stack in json.loads(stdout)["stacks"]:
        for change in stack["changes"]:
            found[change["action"]] = found.get(change["action"], 0) + 1
    return found


def test_up_again_changes_nothing(running_platform: RunningPlatform) -> None:
    done = running_platform.vitalops("up", "--output", "json")
    found = counts(done.stdout)
    assert found.keys() == {"unchanged"}
    assert found["unchanged"] > 150


def test_status_is_healthy_and_tells_of_the_replication(running_platform: RunningPlatform) -> None:
    found = json.loads(running_platform.vitalops("status", "--output", "json").stdout)
    assert found["healthy"]
    roles = {region["name"]: [member["role"] for member in region["database"]] for region in found["regions"]}
    pair = running_platform.pair
    assert roles == {pair.primary: ["primary"], pair.standby: ["standby_leader"]}
    (standby,) = next(region["database"] for region in found["regions"] if region["name"] == pair.standby)
    assert standby["lag_bytes"] is not None


def sql(platform: RunningPlatform, region: str, statement: str) -> str:
    pod = f"postgres-{region}-0"
    command = 'PGPASSWORD="$PATRONI_SUPERUSER_PASSWORD" psql -h /run/postgresql -U postgres -Atqc "$1"'
    arguments = (
        "exec",
        "-n",
        c.NAMESPACE_DATA,
        pod,
        "-c",
        "postgres",
        "--",
        "/bin/sh",
        "-c",
        command,
        "sh",
        statement,
    )
    return platform.kubectl(region, *arguments).stdout.strip()


def test_a_row_written_in_the_primary_region_is_read_in_the_standby(
    running_platform: RunningPlatform,
) -> None:
    pair, table = running_platform.pair, f"t{uuid.uuid4().hex[:12]}"
    sql(running_platform, pair.primary, f"CREATE TABLE {table} AS SELECT 42 AS answer")
    try:
        deadline = time.monotonic() + 20
        read = f"SELECT coalesce((SELECT to_regclass('{table}')::text), '')"
        while sql(running_platform, pair.standby, read) != table:
            assert time.monotonic() < deadline, "the row does not arrive"
            time.sleep(0.2)
        found = sql(running_platform, pair.standby, f"SELECT answer FROM {table}")  # noqa: S608  # a name of our own
        assert found == "42"
        assert sql(running_platform, pair.standby, "SELECT pg_is_in_recovery()") == "t"
    finally:
        sql(running_platform, pair.primary, f"DROP TABLE {table}")


def test_replication_is_encrypted(running_platform: RunningPlatform) -> None:
    statement = "SELECT ssl FROM pg_stat_replication JOIN pg_stat_ssl USING (pid)"
    assert sql(running_platform, running_platform.pair.primary, statement) == "t"


def test_a_service_cannot_read_another_services_database(running_platform: RunningPlatform) -> None:
    statement = "SELECT has_database_privilege('payment', 'records', 'CONNECT')"
    assert sql(running_platform, running_platform.pair.primary, statement) == "f"


def test_drift_is_shown_and_repaired(running_platform: RunningPlatform) -> None:
    region = running_platform.pair.standby
    running_platform.kubectl(
        region, "scale", "-n", c.NAMESPACE_SERVICES, "deployment/payment", "--replicas=0"
    )
    running_platform.kubectl(region, "delete", "-n", c.NAMESPACE_SERVICES, "service/notification")
    shown = running_platform.vitalops("preview", region).stdout
    assert re.search(r"~ Deployment vitalops-services/payment\n\s+spec.replicas: 0 -> 1", shown), shown
    assert "+ Service vitalops-services/notification" in shown
    found = counts(running_platform.vitalops("up", "--output", "json").stdout)
    assert (found["create"], found["update"]) == (1, 1)
    assert running_platform.vitalops("status", check=False).returncode == 0


def test_a_second_up_is_refused_in_one_line(running_platform: RunningPlatform, setting: Setting) -> None:
    region = running_platform.pair.standby
    with StackLock(setting.connect(region), f"region-{region}").held():
        refused = running_platform.vitalops("up", check=False)
    assert refused.returncode == 2
    (line,) = [line for line in refused.stderr.splitlines() if line.startswith("error")]
    assert f"stack region-{region} is being changed by" in line
    assert f"(process {os.getpid()})" in line


def test_a_killed_up_is_repaired_by_the_next(running_platform: RunningPlatform) -> None:
    region = running_platform.pair.primary
    for kind in ("deployment", "secret", "service"):
        running_platform.kubectl(region, "delete", "-n", c.NAMESPACE_SERVICES, f"{kind}/notification")
    killed = subprocess.Popen([VITALOPS, "up"], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert killed.stderr is not None
    for line in killed.stderr:
        if "objects ready" in line:
            break
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stderr.close()
    running_platform.vitalops("up")
    assert running_platform.vitalops("status", check=False).returncode == 0


def test_an_unreachable_cluster_is_one_line(running_platform: RunningPlatform) -> None:
    stopped = next(name for name in running_platform.platform.regions if name.startswith("ch-"))
    failed = running_platform.vitalops("preview", stopped, check=False, seconds=60)
    assert failed.returncode == 3
    assert len(failed.stderr.strip().splitlines()) <= 2
    assert stopped in failed.stderr


def test_an_unknown_region_is_one_line(running_platform: RunningPlatform) -> None:
    failed = running_platform.vitalops("up", "fr-prr", check=False)
    assert failed.returncode == 2
    assert "fr-par" in failed.stderr


def broken(setting: Setting, region: str, namespace: str) -> Callable[[], None]:
    """A program of one Deployment whose only container ends at once."""
    labels = {c.LABEL_STACK: "broken", "app": "broken"}
    access = cluster_access(setting.platform, setting.paths, region)
    container: dict[str, Any] = {
        "name": "broken",
        "image": image_references(setting.platform)["services"],
        "command": ["python3", "-c", "print('no settings file at /nowhere'); raise SystemExit(1)"],
        "readinessProbe": {"tcpSocket": {"port": 8080}},
        "securityContext": container_security(),
    }
    pod = {"securityContext": pod_security(c.UID_SERVICES), "containers": [container]}

    def run() -> None:
        import pulumi

        from infra.components.provider import provider

        cluster = provider(region, access)
        parent = pulumi.ComponentResource(
            "test:index:Broken", "broken", None, pulumi.ResourceOptions(provider=cluster)
        )
        space = declare(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}},
            parent=parent,
        )
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "broken", "namespace": namespace, "labels": labels},
            "spec": {
                "selector": {"matchLabels": {"app": "broken"}},
                "template": {"metadata": {"labels": {"app": "broken"}}, "spec": pod},
            },
        }
        declare(deployment, parent=parent, depends_on=[space])

    return run


def test_what_does_not_get_ready_is_told_with_its_events_and_log(
    running_platform: RunningPlatform, setting: Setting
) -> None:
    region, namespace = running_platform.pair.standby, f"broken-{uuid.uuid4().hex[:8]}"
    stack = Stack("broken", broken(setting, region, namespace), (region,))
    connect: Callable[[str], KubeApi] = setting.connect
    progress = RecordedProgress()
    try:
        with pytest.raises(
            RolloutFailed, match=rf"Deployment {namespace}/broken is not ready after 12 s"
        ) as failed:
            EmbeddedEngine(connect, ready_seconds=12).up(stack, progress)
        assert "log: no settings file at /nowhere" in failed.value.details
        assert "event: BackOff" in failed.value.details
        assert any("waiting for Deployment broken" in detail for _, detail in progress.steps)
    finally:
        EmbeddedEngine(connect).destroy(stack, SilentProgress())
    assert namespace not in running_platform.kubectl(region, "get", "namespaces").stdout
