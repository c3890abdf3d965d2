"""Builds the images that are missing, and leaves them in the store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.local.images import plan
from infra.local.images.buildah import STAGE_PREFIX, Buildah
from infra.local.images.contents import ContentMaker
from infra.local.images.definitions import LAYERS, Tool
from infra.local.images.inputs import MachineInputs
from infra.local.images.run import Run, stage_reference
from infra.local.images.runner import Runner, SubprocessRunner, ToolFailed
from infra.local.images.store import ImageStore, Record
from infra.local.locks import exclusive
from infra.local.toolchain.manager import Toolchain, ensure
from infra.local.toolchain.system import ensure_system
from vitalops.errors import UsageError
from vitalops.model.platform import Platform
from vitalops.paths import Paths
from vitalops.ports.progress import Progress

KEYRINGS: Final = tuple(
    Path("/usr/share/keyrings") / f"debian-archive-keyring.{ending}" for ending in ("gpg", "pgp")
)


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """`layout` is an OCI layout with the manifest `digest` and its blobs; `size` in bytes, compressed."""

    name: str
    reference: str
    digest: str
    layout: Path
    size: int
    seconds: float
    cached: bool


ToolchainSource = Callable[[], Toolchain]


def image_references(platform: Platform) -> dict[str, str]:
    """The full reference of every image by name, from what it would be built of. Builds nothing."""
    return plan.references(platform, plan.layer_keys(MachineInputs()))


def finished(platform: Platform, paths: Paths | None = None) -> dict[str, BuiltImage | None]:
    """Every image by name, None where what it would be built of now is not built yet. Builds nothing."""
    store = ImageStore((paths or Paths.from_environment()).images)
    keys = plan.layer_keys(MachineInputs())
    return {name: find(store, platform, name, keys) for name in plan.known(None)}


def build(
    platform: Platform,
    names: Iterable[str] | None,
    progress: Progress,
    *,
    toolchain: ToolchainSource | None = None,
    paths: Paths | None = None,
) -> dict[str, BuiltImage]:
    """Build these images (all where None) as far as they are not built yet.

    `toolchain` is asked, once and only when an image needs it, for the programs of its groups; without it they
    are made here. Raises UsageError without root, RemoteError where a program, the mirror or the disk fails.
    """
    return Builder(paths or Paths.from_environment(), progress).build(platform, names, toolchain)


def find(store: ImageStore, platform: Platform, name: str, keys: Mapping[str, str]) -> BuiltImage | None:
    record = store.find(name, keys[name])
    return record and _built(store, platform, record, cached=True)


def _built(store: ImageStore, platform: Platform, record: Record, *, cached: bool) -> BuiltImage:
    reference = plan.reference(platform, record.name, record.key)
    return BuiltImage(
        record.name, reference, record.digest, store.layout, record.size, record.seconds, cached
    )


def require_build_machine(progress: Progress) -> None:
    """Raises UsageError without root, or where a program is missing that cannot be installed."""
    if os.geteuid() != 0:
        raise UsageError("building images needs root", hint="run it with sudo")
    ensure_system(("buildah", "mmdebstrap"), progress)
    ensure_keyring(SubprocessRunner(), KEYRINGS)


def ensure_keyring(runner: Runner, keyrings: Iterable[Path]) -> None:
    """Install the Debian archive's keys where none of `keyrings` is there: other distributions come without.

    Raises UsageError where that fails.
    """
    if any(path.exists() for path in keyrings):
        return
    package = "debian-archive-keyring"
    try:
        runner.run(["apt-get", "install", "--yes", "--no-install-recommends", package])
    except ToolFailed as failure:
        raise UsageError(
            f"the Debian archive's keys are missing: {failure}", hint=f"install {package}"
        ) from failure


class Builder:
    """Several may run at once, in this process or others: each family of images has a lock."""

    def __init__(
        self,
        paths: Paths,
        progress: Progress,
        *,
        runner: Runner | None = None,
        inputs: MachineInputs | None = None,
        require: Callable[[Progress], None] | None = None,
    ) -> None:
        """`require` raises where this machine cannot build; it is called before anything is built."""
        self._require = require or require_build_machine
        self._runner = runner or SubprocessRunner()
        self._inputs = inputs or MachineInputs()
        self._store = ImageStore(paths.images)
        self._progress = progress
        self._paths = paths

    def build(
        self, platform: Platform, names: Iterable[str] | None = None, toolchain: ToolchainSource | None = None
    ) -> dict[str, BuiltImage]:
        """See `build` above."""
        chosen = plan.known(names)
        keys = plan.layer_keys(self._inputs)
        results = {name: find(self._store, platform, name, keys) for name in chosen}
        for group in build_order(chosen):
            missing = [name for name in group if results[name] is None]
            if missing:
                tools = self._tools(missing, toolchain)
                results |= self._build_locked(platform, missing, keys, tools)
        return {name: image for name in chosen if (image := results[name]) is not None}

    def _tools(self, names: Iterable[str], toolchain: ToolchainSource | None) -> dict[str, Path]:
        contents = [LAYERS[layer].content for layer in plan.needed(names)]
        wanted = [content for content in contents if isinstance(content, Tool)]
        if not wanted:
            return {}
        groups = dict.fromkeys(content.group for content in wanted)
        found = toolchain() if toolchain else ensure(groups, self._progress, self._paths)
        return {content.tool: found.path(content.tool) for content in wanted}

    def _build_locked(
        self, platform: Platform, names: list[str], keys: Mapping[str, str], tools: Mapping[str, Path]
    ) -> dict[str, BuiltImage | None]:
        self._require(self._progress)
        family = plan.family(names[0])
        with exclusive(self._store.family_lock(family), on_wait=self._wait):
            results = {name: find(self._store, platform, name, keys) for name in names}
            missing = [name for name in names if results[name] is None]
            if missing:
                self._make(family, missing, keys, tools)
                for name in missing:
                    record = self._store.find(name, keys[name])
                    results[name] = record and _built(self._store, platform, record, cached=False)
        return results

    def _make(
        self, family: str, names: list[str], keys: Mapping[str, str], tools: Mapping[str, Path]
    ) -> None:
        work = self._store.cleared_work(family)
        try:
            buildah = storage(self._store, self._paths, self._runner, work, family)
            buildah.remove_containers()
            maker = ContentMaker(self._inputs, self._runner, work)
            Run(self._store, buildah, maker, keys, tools, self._progress).make(names)
            self._prune(buildah)
        finally:
            self._store.cleared_work(family)

    def _wait(self) -> None:
        self._progress.step("images", "another run is building; waiting")

    def _prune(self, buildah: Buildah) -> None:
        with exclusive(self._store.lock, on_wait=self._wait):
            kept = self._store.prune()
        wanted = {stage_reference(name, key) for record in kept for name, key in record.layers.items()}
        # Layers of other families may be those of an image that another run is just building.
        ours = tuple(f"{STAGE_PREFIX}/{name}:" for name in LAYERS if plan.family(name) == buildah.family)
        stale = [ref for ref in buildah.images() if ref.startswith(ours) and ref not in wanted]
        buildah.remove_images(sorted(stale))


def storage(store: ImageStore, paths: Paths, runner: Runner, work: Path, family: str) -> Buildah:
    """buildah with the first storage driver that works here: overlay shares files, vfs copies them."""
    options = [
        Buildah(store.storage, paths.run / "images", work, runner, driver, family)
        for driver in ("overlay", "vfs")
    ]
    options[0].prepare()
    return options[0] if options[0].works() else options[1]


def _needs_tool(layer: str) -> bool:
    return isinstance(LAYERS[layer].content, Tool)


def build_order(names: Iterable[str]) -> list[list[str]]:
    """Groups to build one after the other, each of one family.

    The toolchain may compile for minutes, so images with a program of it come last: the others are done by then.
    """
    groups: dict[tuple[bool, str], list[str]] = {}
    for name in names:
        waits = any(_needs_tool(layer) for layer in plan.lineage(name))
        groups.setdefault((waits, plan.family(name)), []).append(name)
    return [groups[key] for key in sorted(groups, key=lambda key: key[0])]
