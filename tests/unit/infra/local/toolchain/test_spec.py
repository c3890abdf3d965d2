"""toolchain.toml, the content hash and version numbers."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from infra.local.toolchain.build import build_command, build_environment
from infra.local.toolchain.manager import reports
from infra.local.toolchain.spec import GO_FLAGS, Group, content_hash, parse_version, specification


@pytest.fixture
def group(tmp_path: Path) -> Group:
    source = tmp_path / "tool"
    source.mkdir()
    (source / "go.mod").write_text("module tool\n")
    (source / "go.sum").write_text("sums\n")
    return Group(
        "tool", "regions", "1.2.3", ("tool",), "tool", source, variables=("main.version=v{version}",)
    )


def test_every_group_has_sources_and_pins() -> None:
    known = specification()
    assert known.of_stage("regions") == ("kubernetes", "containerd", "etcd", "coredns", "provisioner")
    assert known.of_stage("media") == ("livekit",)
    assert known.of_stage("telemetry") == ("jaeger", "loki", "logcollector", "versitygw")
    for group in known.groups.values():
        assert (group.source / "go.mod").exists()
        assert (group.source / "go.sum").exists()
        assert not set(group.built_as) - set(group.tools)
        needed = re.search(r"^go (\S+)$", (group.source / "go.mod").read_text(), re.MULTILINE)
        assert needed is not None
        assert parse_version(needed.group(1)) <= known.go.minimum, (
            f"{group.name} needs a newer Go than is asked for"
        )


def test_the_pinned_version_is_the_one_that_go_modules_build() -> None:
    modules = {
        "kubernetes": "k8s.io/kubernetes",
        "containerd": "github.com/containerd/containerd/v2",
        "etcd": "go.etcd.io/etcd/server/v3",
        "coredns": "github.com/coredns/coredns",
        "livekit": "github.com/livekit/livekit-server",
        "jaeger": "github.com/jaegertracing/jaeger",
        "loki": "github.com/grafana/loki/v3",
        "logcollector": "go.opentelemetry.io/collector/otelcol",
        "versitygw": "github.com/versity/versitygw",
    }
    for name, module in modules.items():
        group = specification().groups[name]
        assert re.search(rf"{module} v{re.escape(group.version)}\b", (group.source / "go.mod").read_text()), (
            name
        )


def test_hash_follows_everything_that_decides_the_binary(group: Group) -> None:
    first = content_hash(group, "amd64")
    assert re.fullmatch(r"[0-9a-f]{12}", first)
    assert content_hash(group, "amd64") == first
    others = {
        content_hash(group, "arm64"),
        content_hash(replace(group, version="1.2.4"), "amd64"),
        content_hash(replace(group, variables=()), "amd64"),
        content_hash(replace(group, tools=("tool", "other")), "amd64"),
    }
    (group.source / "go.sum").write_text("other sums\n")
    others.add(content_hash(group, "amd64"))
    (group.source / "main.go").write_text("package main\n")
    others.add(content_hash(group, "amd64"))
    assert len(others) == 6
    assert first not in others


def test_moving_text_between_files_changes_the_hash(group: Group) -> None:
    (group.source / "go.mod").write_text("ab")
    (group.source / "go.sum").write_text("c")
    first = content_hash(group, "amd64")
    (group.source / "go.mod").write_text("a")
    (group.source / "go.sum").write_text("bc")
    assert content_hash(group, "amd64") != first


def test_build_command(group: Group, tmp_path: Path) -> None:
    command = build_command("/go", group, tmp_path)
    assert command[:3] == ["/go", "build", "-v"]
    assert set(GO_FLAGS) <= set(command)
    assert command[command.index("-ldflags") + 1] == "-s -w -X main.version=v1.2.3"
    assert command[-1] == "tool"


def test_build_environment_needs_no_c_compiler_and_fetches_no_other_go() -> None:
    made = build_environment({"PATH": "/bin", "GOFLAGS": "-race", "CGO_ENABLED": "1"})
    assert made["CGO_ENABLED"] == "0"
    assert made["GOTOOLCHAIN"] == "local"
    assert made["GOFLAGS"] == "-mod=readonly"
    assert made["PATH"] == "/bin"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go1.26.8", (1, 26, 8)),
        ("1.27", (1, 27)),
        ("v1.37.2", (1, 37, 2)),
        ("go1.27rc1", (1, 27)),
        ("go1.26.8-custom", (1, 26, 8)),
        ("devel go", ()),
        ("", ()),
    ],
)
def test_parse_version(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("output", "version", "expected"),
    [
        ("Kubernetes v1.37.2", "1.37.2", True),
        ("Kubernetes v1.37.20", "1.37.2", False),
        ("Kubernetes v1.37.1", "1.37.2", False),
        ("etcd Version: 3.7.3\nGit SHA: x", "3.7.3", True),
        ("containerd github.com/containerd/containerd/v2 2.4.2+unknown", "2.4.2", True),
        ("CoreDNS-1.15.0\nlinux/amd64, go1.26.8,", "1.15.0", True),
        ("", "1.0.0", False),
    ],
)
def test_reported_version(output: str, version: str, expected: bool) -> None:
    assert reports(output, version) is expected
