from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from infra.local.images.build import Builder, ensure_keyring
from infra.local.images.inputs import MachineInputs
from infra.local.images.runner import ToolFailed
from infra.local.toolchain.manager import Toolchain
from tests.unit.infra.local.images.conftest import FakeTools
from vitalops.errors import RemoteError, UsageError
from vitalops.model.platform import Platform
from vitalops.paths import Paths
from vitalops.ports.progress import Progress, RecordedProgress

NAMES = ["pause", "base", "services", "database", "gateway"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    (project / "services").mkdir(parents=True)
    (project / "services" / "__init__.py").write_text("")
    (project / "uv.lock").write_text("")
    return project


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(cache=tmp_path / "cache", state=tmp_path / "state", run=tmp_path / "run")


MakeBuilder = Callable[..., Builder]


@pytest.fixture
def builder(paths: Paths, project: Path, tools: FakeTools, monkeypatch: pytest.MonkeyPatch) -> MakeBuilder:
    monkeypatch.delenv("CC", raising=False)

    def make(progress: Progress | None = None) -> Builder:
        inputs = MachineInputs(project=project, runner=tools)
        return Builder(
            paths, progress or RecordedProgress(), runner=tools, inputs=inputs, require=lambda progress: None
        )

    return make


def test_a_first_build_makes_every_image_and_a_second_nothing(
    builder: MakeBuilder, tools: FakeTools, platform: Platform
) -> None:
    first = builder().build(platform, NAMES)
    assert list(first) == NAMES
    assert not any(image.cached for image in first.values())
    tools.calls.clear()
    second = builder().build(platform, NAMES)
    assert all(image.cached for image in second.values())
    assert {name: image.reference for name, image in first.items()} == {
        name: image.reference for name, image in second.items()
    }
    assert [call for call in tools.calls if "export" not in call] == []


def test_a_change_of_code_rebuilds_only_the_services_on_the_layers_that_are_there(
    builder: MakeBuilder, tools: FakeTools, platform: Platform, project: Path
) -> None:
    before = builder().build(platform, NAMES)
    (project / "services" / "new.py").write_text("x = 1\n")
    tools.calls.clear()
    after = builder().build(platform, NAMES)
    assert [name for name in NAMES if before[name].reference != after[name].reference] == ["services"]
    assert tools.named("mmdebstrap") == []
    assert tools.named("uv", "install") == []
    assert len(tools.named("buildah", "commit")) == 1


def test_only_the_last_two_versions_stay(
    builder: MakeBuilder, tools: FakeTools, platform: Platform, project: Path
) -> None:
    references = []
    for number in range(4):
        (project / "services" / "version.py").write_text(f"number = {number}\n")
        references.append(builder().build(platform, ["services"])["services"].reference)
    keys = [reference.rpartition(":")[2] for reference in references]
    stored = {name.rpartition(":")[2] for name in tools.stored if "/services:" in name}
    assert stored == set(keys[-2:])
    assert len([name for name in tools.stored if "/services-packages:" in name]) == 1


def test_what_an_interrupted_build_left_is_removed_and_other_families_are_let_be(
    builder: MakeBuilder, tools: FakeTools, platform: Platform, paths: Paths
) -> None:
    tools.containers |= {"base-left", "pause-busy"}
    left = paths.images / "work" / "base" / "base.root.tar"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    builder().build(platform, ["base"])
    assert tools.containers == {"pause-busy"}
    assert not left.exists()


def test_a_failed_layer_leaves_no_image_no_container_and_no_temporary_file(
    builder: MakeBuilder, tools: FakeTools, platform: Platform, paths: Paths
) -> None:
    tools.refuse["commit"] = "Error: no space left on device"
    with pytest.raises(RemoteError, match="disk full"):
        builder().build(platform, ["base"])
    assert tools.containers == set()
    assert list((paths.images / "work" / "base").iterdir()) == []
    tools.refuse.clear()
    assert not builder().build(platform, ["base"])["base"].cached


def test_a_failure_in_one_image_keeps_what_the_others_finished(
    builder: MakeBuilder, tools: FakeTools, platform: Platform
) -> None:
    tools.refuse["--target"] = "error: Request failed after 3 retries\n error sending request for url"
    with pytest.raises(RemoteError, match="image services-packages: cannot reach the Python package index"):
        builder().build(platform, ["base", "services"])
    tools.refuse.clear()
    tools.calls.clear()
    built = builder().build(platform, ["base", "services"])
    assert built["base"].cached
    assert tools.named("mmdebstrap") == []


def test_the_toolchain_is_asked_only_for_the_media_image_and_after_the_others(
    builder: MakeBuilder, tools: FakeTools, platform: Platform, tmp_path: Path
) -> None:
    server = tmp_path / "livekit-server"
    server.write_text("server")
    asked: list[int] = []

    def toolchain() -> Toolchain:
        asked.append(len(tools.named("buildah", "commit")))
        return Toolchain({"livekit-server": server})

    builder().build(platform, ["pause", "base"], toolchain)
    assert asked == []
    builder().build(platform, ["media", "gateway"], toolchain)
    assert asked == [3]
    builder().build(platform, ["media"], toolchain)
    assert asked == [3]


def test_a_machine_that_cannot_build_is_refused_before_anything_runs(
    paths: Paths, tools: FakeTools, platform: Platform, project: Path
) -> None:
    def refuse(_: Progress) -> None:
        raise UsageError("building images needs root")

    inputs = MachineInputs(project=project, runner=tools)
    builder = Builder(paths, RecordedProgress(), runner=tools, inputs=inputs, require=refuse)
    with pytest.raises(UsageError, match="needs root"):
        builder.build(platform, ["pause"])
    assert tools.named("cc") == []


def test_progress_names_each_image_that_is_made(builder: MakeBuilder, platform: Platform) -> None:
    progress = RecordedProgress()
    builder(progress).build(platform, ["pause", "services"])
    assert set(progress.finished) == {
        "image pause",
        "image base",
        "image services-packages",
        "image services",
    }


def test_images_run_as_their_user_with_their_command(
    builder: MakeBuilder, tools: FakeTools, platform: Platform
) -> None:
    builder().build(platform, ["gateway"])
    (call,) = [call for call in tools.named("buildah", "config") if "SIGUSR1" in call]
    assert call[call.index("--user") + 1] == "10003:10003"
    assert call[call.index("--cmd") + 1] == '["haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"]'


def test_a_layer_of_debian_packages_repeats_those_below_it(
    builder: MakeBuilder, tools: FakeTools, platform: Platform
) -> None:
    builder().build(platform, ["gateway"])
    included = [word for call in tools.named("mmdebstrap") for word in call if word.startswith("--include=")]
    assert sorted(included) == [
        "--include=ca-certificates,haproxy,python3,tzdata",
        "--include=ca-certificates,python3,tzdata",
    ]


def test_code_that_changes_after_its_tag_was_computed_is_not_packed_under_that_tag(
    builder: MakeBuilder, tools: FakeTools, platform: Platform, project: Path
) -> None:
    def edit_once(call: tuple[str, ...]) -> None:
        # The database's packages are looked at after the services' code.
        if "database" in call and len(tools.calls) < 4:
            (project / "services" / "edited.py").write_text("x = 1\n")

    tools.before = edit_once
    with pytest.raises(RemoteError, match="image services: its files changed while they were read"):
        builder().build(platform, ["services"])
    assert not builder().build(platform, ["services"])["services"].cached


def test_the_archives_keys_are_installed_only_where_they_are_missing(tmp_path: Path) -> None:
    class Apt:
        def __init__(self, complaint: str = "") -> None:
            self.calls: list[tuple[str, ...]] = []
            self.complaint = complaint

        def run(self, argv: Sequence[str], **_: object) -> str:
            self.calls.append(tuple(argv))
            if self.complaint:
                raise ToolFailed(argv, 100, self.complaint)
            return ""

    there = tmp_path / "keyring.gpg"
    there.write_text("keys")
    apt = Apt()
    ensure_keyring(apt, [tmp_path / "none", there])
    assert apt.calls == []
    ensure_keyring(apt, [tmp_path / "none"])
    assert [call[-1] for call in apt.calls] == ["debian-archive-keyring"]
    with pytest.raises(
        UsageError, match=r"keys are missing.*Unable to locate.*install debian-archive-keyring"
    ):
        ensure_keyring(Apt("E: Unable to locate package"), [tmp_path / "none"])
