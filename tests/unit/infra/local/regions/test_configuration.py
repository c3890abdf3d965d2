"""Configuration files, command lines and first objects of a region."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from infra.local.regions import configuration
from infra.local.regions.boot import node_is_ready
from infra.local.regions.certificates import identities
from infra.local.regions.layout import Layout
from infra.local.regions.manager import known_programs
from infra.local.regions.objects import cluster_objects, resource_path
from infra.local.regions.programs import PROCESS_NAMES, PROVISIONER_NAME
from infra.local.regions.teardown import mounts_below
from vitalops.model.addresses import LocalAddresses


def make(name: str, index: int) -> Layout:
    state = Path("/state/regions") / name
    return Layout(
        name, LocalAddresses(index), state, Path("/run/vitalops") / name, state / "admin.kubeconfig"
    )


@pytest.fixture
def region() -> Layout:
    return make("west", 8)


def texts(region: Layout) -> dict[Path, str]:
    kubeconfigs = {identity.name: region.pki / identity.name for identity in identities(region)}
    return configuration.files(
        region,
        kubeconfigs,
        runc="/usr/sbin/runc",
        cni_folder="/usr/lib/cni",
        sandbox_image="localhost/pause:1",
    )


def test_regions_share_no_path() -> None:
    """Everything that two containerds or kubelets of one machine could fight over is below the region's own folders."""
    one, other = texts(make("west", 8)), texts(make("east", 9))
    assert not set(one) & set(other)
    for text in one.values():
        assert "/state/regions/east" not in text
        assert "/run/vitalops/east" not in text


def test_containerd_keeps_to_the_regions_folders(region: Layout) -> None:
    config = tomllib.loads(texts(region)[region.config / "containerd.toml"])
    assert config["root"].startswith(str(region.state))
    assert config["state"].startswith(str(region.run))
    runtime = config["plugins"]["io.containerd.cri.v1.runtime"]
    assert runtime["restrict_oom_score_adj"] is True
    assert runtime["netns_mounts_under_state_dir"] is True
    assert runtime["containerd"]["runtimes"]["runc"]["options"]["Root"].startswith(str(region.run))
    pinned = config["plugins"]["io.containerd.cri.v1.images"]["pinned_images"]
    assert pinned == {"sandbox": "localhost/pause:1"}


def test_kubelet_admits_nobody_unknown_and_throws_no_image_away(region: Layout) -> None:
    config = json.loads(texts(region)[region.config / "kubelet.json"])
    assert config["authentication"]["anonymous"] == {"enabled": False}
    assert config["authorization"] == {"mode": "Webhook"}
    assert config["imageGCHighThresholdPercent"] == 100
    assert config["cgroupRoot"] == "/vitalops-west/pods"


def test_only_health_is_anonymous(region: Layout) -> None:
    config = json.loads(texts(region)[region.config / "authentication.json"])
    paths = {condition["path"] for condition in config["anonymous"]["conditions"]}
    assert paths == {"/livez", "/readyz", "/healthz"}


def test_dns_forwards_nothing_and_listens_where_only_the_region_reaches(region: Layout) -> None:
    text = texts(region)[region.config / "Corefile"]
    assert "forward" not in text
    assert text.count(f"bind {region.dns_address}") == 2
    assert region.addresses.node not in text


def test_secrets_do_not_reach_the_audit_log(region: Layout) -> None:
    policy = json.loads(texts(region)[region.config / "audit-policy.json"])
    assert {rule["level"] for rule in policy["rules"]} == {"None", "Metadata"}


def test_only_the_administrator_is_privileged(region: Layout) -> None:
    groups = {identity.name: identity.group for identity in identities(region) if identity.group}
    assert groups == {"admin": "system:masters", "kubelet": "system:nodes"}


def test_every_process_has_a_program_and_no_secret_on_its_command_line(region: Layout) -> None:
    programs = known_programs(region)
    assert set(programs) == set(PROCESS_NAMES)
    server = programs["kube-apiserver"].arguments
    assert "--authorization-mode=Node,RBAC" in server
    assert any(argument.startswith("--encryption-provider-config=") for argument in server)
    assert not any("BEGIN" in argument for program in programs.values() for argument in program.arguments)


def test_etcd_keeps_what_it_acknowledged(region: Layout) -> None:
    arguments = known_programs(region)["etcd"].arguments
    assert not any("fsync" in argument for argument in arguments)
    assert all(
        value.startswith("unix://")
        for key, _, value in (a.partition("=") for a in arguments)
        if "listen" in key
    )


def test_objects_go_where_their_kind_lives(region: Layout) -> None:
    paths = [resource_path(manifest) for manifest in cluster_objects(region)]
    assert len(set(paths)) == len(paths)
    assert "/api/v1/namespaces/kube-system/services/kube-dns" in paths
    assert "/apis/storage.k8s.io/v1/storageclasses/local" in paths
    assert "/apis/rbac.authorization.k8s.io/v1/clusterroles/vitalops:coredns" in paths


def test_the_storage_class_waits_for_a_pod_and_is_the_default(region: Layout) -> None:
    (made,) = [manifest for manifest in cluster_objects(region) if manifest["kind"] == "StorageClass"]
    assert made["volumeBindingMode"] == "WaitForFirstConsumer"
    assert made["provisioner"] == PROVISIONER_NAME
    assert made["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true"


def node(status: str, heard: str, *taints: str) -> dict[str, Any]:
    return {
        "spec": {"taints": [{"key": f"node.kubernetes.io/{taint}"} for taint in taints]},
        "status": {"conditions": [{"type": "Ready", "status": status, "lastHeartbeatTime": heard}]},
    }


@pytest.mark.parametrize(
    ("found", "ready"),
    [
        (node("True", "2026-11-22T18:00:10Z"), True),
        (node("True", "2026-11-22T18:00:00Z"), True),
        (node("False", "2026-11-22T18:00:10Z"), False),
        (node("True", "2026-11-22T17:59:59Z"), False),
        (node("True", "2026-11-22T18:00:10Z", "not-ready"), False),
        (node("True", "2026-11-22T18:00:10Z", "disk-pressure"), True),
        (None, False),
        ({"spec": {}, "status": {}}, False),
    ],
)
def test_a_node_is_ready_only_by_what_was_said_since_the_start(found: Any, ready: bool) -> None:
    started = 1795370400.4  # 2026-11-22T18:00:00.4Z; heartbeats have whole seconds
    assert node_is_ready(found, started) is ready


def test_mounts_are_found_by_folder_the_deepest_first() -> None:
    mountinfo = (
        "1 0 0:1 / / rw - ext4 /dev/vda rw\n"
        "2 1 0:2 / /state/regions/west/kubelet/pods/a rw - tmpfs tmpfs rw\n"
        "3 2 0:3 / /state/regions/west/kubelet/pods/a/with\\040blank rw - tmpfs tmpfs rw\n"
        "4 1 0:4 / /state/regions/west-2/kubelet rw - tmpfs tmpfs rw\n"
        "5 1 0:5 / /run/vitalops/west rw - tmpfs tmpfs rw\n"
    )
    found = mounts_below(mountinfo, (Path("/state/regions/west"), Path("/run/vitalops/west")))
    assert [str(path) for path in found] == [
        "/run/vitalops/west",
        "/state/regions/west/kubelet/pods/a/with blank",
        "/state/regions/west/kubelet/pods/a",
    ]
