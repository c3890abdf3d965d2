"""Regions start, are repaired, stop to nothing, and keep their data."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cluster.regions.conftest import EAST, WEST, Regions, host_network, kill, processes_of, traces_of
from vitalops.paths import Paths

CORE = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "containerd",
    "kubelet",
    "kube-proxy",
)


def test_a_second_start_changes_nothing(regions: Regions) -> None:
    first = regions.start()
    assert [(region["name"], region["state"], region["node_ready"]) for region in first] == [
        (WEST, "running", True),
        (EAST, "running", True),
    ]
    before = processes_of(WEST)
    assert set(CORE) <= set(before)
    regions.start()
    assert processes_of(WEST) == before


def test_the_dead_are_named_and_only_they_are_replaced(regions: Regions) -> None:
    regions.start(WEST)
    before = processes_of(WEST)
    kill(before["etcd"], before["kube-scheduler"], before["coredns"])
    status = regions.status(WEST)
    assert status["state"] == "degraded"
    assert status["dead"] == ["etcd", "kube-scheduler", "coredns"]
    (status,) = regions.start(WEST)
    assert status["state"] == "running"
    after = processes_of(WEST)
    changed = {name for name in before if after.get(name) != before[name]}
    assert changed == {"etcd", "kube-scheduler", "coredns"}


def test_a_lost_link_and_namespace_rules_come_back(regions: Regions) -> None:
    regions.start(WEST)
    subprocess.run(["ip", "-n", "vitalops-wan", "link", "del", "region8"], check=True)
    subprocess.run(
        ["ip", "netns", "exec", f"vitalops-{WEST}", "nft", "flush", "table", "ip", "vitalops"], check=True
    )
    assert regions.status(WEST)["node_ready"] is False
    (status,) = regions.start(WEST)
    assert status["state"] == "running"
    rules = subprocess.run(
        ["ip", "netns", "exec", f"vitalops-{WEST}", "nft", "list", "table", "ip", "vitalops"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert rules.stdout.count("masquerade") == 1


def test_two_starts_at_once_make_one_region(regions: Regions) -> None:
    regions.stop(WEST)
    runs = [
        subprocess.Popen(
            regions.command("regions", "start", WEST), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for run in runs:
        _, said = run.communicate(timeout=300)
        assert run.returncode == 0, said.decode()
    names = [name for name in processes_of(WEST) if " of " not in name]
    assert sorted(names) == sorted({*CORE, "coredns", "provisioner"})


def test_stop_leaves_nothing_and_the_next_start_knows_everything(regions: Regions) -> None:
    regions.start()
    regions.kubectl(WEST, "create", "configmap", "remembered", "--from-literal=word=still here")
    regions.stop()
    assert traces_of(WEST) + traces_of(EAST) == []
    regions.start(WEST)
    data = regions.kubectl(WEST, "get", "configmap", "remembered", "-o", "jsonpath={.data.word}")
    assert data == "still here"


@pytest.mark.parametrize("seconds", [0.4, 1.0, 2.5, 4.0])
def test_a_start_that_is_killed_anywhere_is_finished_by_the_next_and_undone_by_a_stop(
    regions: Regions, seconds: float
) -> None:
    regions.stop()
    untouched = host_network()
    for finish in ("start", "stop"):
        starter = subprocess.Popen(
            regions.command("regions", "start", WEST), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(seconds)
        starter.send_signal(signal.SIGKILL)
        starter.wait()
        regions.run("regions", finish, WEST)
        if finish == "start":
            assert regions.status(WEST)["state"] == "running"
            regions.stop(WEST)
        assert traces_of(WEST) == []
    assert host_network() == untouched


def test_the_machines_own_network_is_not_touched(regions: Regions) -> None:
    regions.stop()
    before = host_network()
    regions.start()
    assert host_network() == before
    regions.stop()
    assert host_network() == before


def test_purge_asks_first_and_then_leaves_no_data(regions: Regions) -> None:
    regions.start(EAST)
    state = Paths.from_environment().region(EAST)
    refused = regions.run("regions", "stop", EAST, "--purge", check=False)
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert regions.status(EAST)["state"] == "running"
    regions.run("--yes", "regions", "stop", EAST, "--purge")
    assert not state.exists()
    assert traces_of(EAST) == []


def test_an_unknown_region_is_one_line(regions: Regions) -> None:
    refused = regions.run("regions", "start", "test-wets", check=False)
    assert refused.returncode == 2
    (line,) = [line for line in refused.stderr.splitlines() if not line.startswith("warning")]
    assert "test-wets" in line
    assert WEST in line


def test_other_addresses_than_the_state_was_made_with_are_refused(regions: Regions, tmp_path: Path) -> None:
    regions.start(EAST)
    regions.stop(EAST)
    moved = tmp_path / "platform.yaml"
    text = regions.platform.read_text()
    moved.write_text(text.replace(EAST, "passing").replace(WEST, EAST).replace("passing", WEST))
    refused = Regions(moved).run("regions", "start", EAST, check=False)
    assert refused.returncode == 2
    assert "made as region 9" in refused.stderr
    assert traces_of(EAST) == []
