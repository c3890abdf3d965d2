"""Gets every tool from the first place that has it: the cache, PATH, the official release, the Go modules."""

from __future__ import annotations

import errno
import json
import os
import platform as machine
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infra.local.locks import exclusive
from infra.local.toolchain.build import build
from infra.local.toolchain.download import Downloader, NotAvailable
from infra.local.toolchain.golang import find_go
from infra.local.toolchain.spec import Group, Specification, Stage, content_hash, specification
from vitalops.errors import RemoteError, UsageError
from vitalops.paths import Paths
from vitalops.ports.progress import Progress

Source = Literal["missing", "installed", "downloaded", "built"]
SOURCE_FILE = "source.json"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """Where a group is. `folder` is None for a group that is missing or taken from PATH."""

    name: str
    version: str
    stage: Stage
    source: Source
    tools: Mapping[str, Path]
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Absolute paths by tool."""

    tools: Mapping[str, Path]

    def path(self, tool: str) -> Path:
        return self.tools[tool]


def architecture() -> str:
    """This machine's architecture as Go names it. Raises UsageError for one that nothing is published for."""
    name = machine.machine()
    if name not in ARCHITECTURES:
        raise UsageError(f"the toolchain is for {', '.join(ARCHITECTURES)}, this machine is {name}")
    return ARCHITECTURES[name]


def folder_of(group: Group, paths: Paths) -> Path:
    return paths.toolchain / f"{group.name}-{content_hash(group, architecture())}"


def cached(group: Group, paths: Paths) -> GroupStatus | None:
    folder = folder_of(group, paths)
    tools = {tool: folder / tool for tool in group.tools}
    if not all(os.access(path, os.X_OK) for path in tools.values()):
        return None
    try:
        source: Source = json.loads((folder / SOURCE_FILE).read_text())["source"]
    except (OSError, ValueError, KeyError):
        return None
    return GroupStatus(group.name, group.version, group.stage, source, tools, folder)


def installed(group: Group) -> GroupStatus | None:
    """The group from PATH, where all of its tools are there and report the pinned version."""
    if not group.probe:
        return None
    found = {tool: shutil.which(tool) for tool in group.tools}
    tools = {tool: Path(path) for tool, path in found.items() if path}
    if len(tools) != len(group.tools):
        return None
    try:
        answer = subprocess.run(group.probe, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if not reports(answer.stdout + answer.stderr, group.version):
        return None
    return GroupStatus(group.name, group.version, group.stage, "installed", tools)


def reports(output: str, version: str) -> bool:
    """Whether a program's version output names exactly this version ("v1.37.2" yes, "1.37.20" no)."""
    words = output.replace(",", " ").replace("-", " ").replace("+", " ").split()
    return any(word.removeprefix("v") == version for word in words)


def locate(name: str, paths: Paths, known: Specification | None = None) -> GroupStatus:
    group = (known or specification()).groups[name]
    missing = GroupStatus(group.name, group.version, group.stage, "missing", {})
    return cached(group, paths) or installed(group) or missing


class Manager:
    """Shared by every group of one run: the download transport remembers what cannot be reached."""

    def __init__(
        self, paths: Paths, *, known: Specification | None = None, downloader: Downloader | None = None
    ) -> None:
        self._paths = paths
        self._known = known or specification()
        self._downloader = downloader or Downloader()

    def ensure(self, groups: Iterable[str], progress: Progress) -> Toolchain:
        """All tools of `groups`, in that order. Raises RemoteError with one line where one cannot be had."""
        tools: dict[str, Path] = {}
        for name in groups:
            status = locate(name, self._paths, self._known)
            if status.source == "missing":
                status = self._make(self._known.groups[name], progress)
            tools.update(status.tools)
        return Toolchain(tools)

    def _make(self, group: Group, progress: Progress) -> GroupStatus:
        step = f"{group.name} {group.version}"
        root = self._paths.toolchain
        try:
            with exclusive(
                root / f"{group.name}.lock",
                on_wait=lambda: progress.step(step, "another run is making it; waiting"),
            ):
                if there := cached(group, self._paths):
                    return there
                return self._make_locked(group, root, progress)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise RemoteError(
                f"disk full at {root} while making {step}",
                hint=f"free about {self._known.go.disk_gigabytes} GB there, or point VITALOPS_CACHE elsewhere",
            ) from None

    def _make_locked(self, group: Group, root: Path, progress: Progress) -> GroupStatus:
        step = f"{group.name} {group.version}"
        began = time.monotonic()
        progress.step(step)
        final = folder_of(group, self._paths)
        # Under the lock nobody else works here, so partial folders are what interrupted runs left. Never the same
        # name again: the compiler of a run that was killed may still be writing to its own.
        for left in root.glob(f"{group.name}.*.partial"):
            shutil.rmtree(left, ignore_errors=True)
        partial = root / f"{group.name}.{os.getpid()}.partial"
        partial.mkdir(parents=True)
        try:
            source: Source = "downloaded"
            try:
                self._downloader.fetch(group, architecture(), partial, progress)
            except NotAvailable:
                source = "built"
                shutil.rmtree(partial)
                partial.mkdir()
                go = find_go(self._known.go, root, progress)
                build(go, group, partial, progress, self._known.go.disk_gigabytes)
            (partial / SOURCE_FILE).write_text(json.dumps({"source": source, "version": group.version}))
            shutil.rmtree(final, ignore_errors=True)
            partial.rename(final)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        progress.done(step, time.monotonic() - began)
        made = cached(group, self._paths)
        if made is None:
            raise RemoteError(f"{step} was {source}, but {', '.join(group.tools)} are not all in {final}")
        return made


def ensure(groups: Iterable[str], progress: Progress, paths: Paths | None = None) -> Toolchain:
    """All tools of `groups` (see toolchain.toml), made where they are missing."""
    return Manager(paths or Paths.from_environment()).ensure(groups, progress)


def ensure_regions(progress: Progress, paths: Paths | None = None) -> Toolchain:
    """What regions need to boot."""
    return ensure(specification().of_stage("regions"), progress, paths)
