"""Builds what is missing, layers side by side, and leaves finished images in the store."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, assert_never

from infra.local.images import faults, plan
from infra.local.images.buildah import STAGE_PREFIX, Buildah
from infra.local.images.contents import EPOCH, ContentMaker, mirror
from infra.local.images.definitions import LAYERS, Code, CProgram, Debian, Layer, Tool, Wheels
from infra.local.images.inputs import MachineInputs
from infra.local.images.runner import Runner, SubprocessRunner, ToolFailed
from infra.local.images.store import ImageStore, Record
from infra.local.locks import exclusive
from infra.local.toolchain.manager import Toolchain, ensure
from infra.local.toolchain.system import ensure_system
from vitalops.errors import UsageError
from vitalops.model.platform import Platform
from vitalops.paths import Paths
from vitalops.ports.progress import Progress

SIDE_BY_SIDE: Final = 2
"""Layers that are made at once: most of the work is one core's."""
PYPI: Final = "the Python package index"


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


def stage_reference(name: str, key: str) -> str:
    return f"{STAGE_PREFIX}/{name}:{key}"


class Builder:
    def __init__(
        self,
        paths: Paths,
        progress: Progress,
        *,
        runner: Runner | None = None,
        inputs: MachineInputs | None = None,
    ) -> None:
        self.runner = runner or SubprocessRunner()
        self.inputs = inputs or MachineInputs()
        self.store = ImageStore(paths.images)
        self._progress = progress
        self._paths = paths
        self._exporting = threading.Lock()

    def keys(self) -> dict[str, str]:
        return plan.layer_keys(self.inputs)

    def build(
        self, platform: Platform, names: Iterable[str] | None = None, toolchain: ToolchainSource | None = None
    ) -> dict[str, BuiltImage]:
        """See `build` below."""
        chosen = plan.known(names)
        keys = self.keys()
        # The toolchain may compile for minutes: what does not need it goes first, and the lock is free meanwhile.
        waiting = [name for name in chosen if any(_needs_tool(layer) for layer in plan.lineage(name))]
        at_once = [name for name in chosen if name not in waiting]
        results = {name: self._stored(platform, name, keys) for name in chosen}
        for group in (at_once, waiting):
            missing = [name for name in group if results[name] is None]
            if missing:
                tools = self._tools(missing, toolchain)
                results |= self._build_locked(platform, missing, keys, tools)
        return {name: image for name in chosen if (image := results[name]) is not None}

    def _stored(self, platform: Platform, name: str, keys: Mapping[str, str]) -> BuiltImage | None:
        record = self.store.find(name, keys[name])
        return record and self._built(platform, record, cached=True)

    def _built(self, platform: Platform, record: Record, *, cached: bool) -> BuiltImage:
        reference = plan.reference(platform, record.name, record.key)
        return BuiltImage(
            record.name, reference, record.digest, self.store.layout, record.size, record.seconds, cached
        )

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
        if os.geteuid() != 0:
            raise UsageError("building images needs root", hint="run it with sudo")
        ensure_system(("buildah", "mmdebstrap"), self._progress)
        waits = "another run is building; waiting"
        with exclusive(self.store.lock, on_wait=lambda: self._progress.step("images", waits)):
            results = {name: self._stored(platform, name, keys) for name in names}
            missing = [name for name in names if results[name] is None]
            if missing:
                self.store.clear_work()
                buildah = self.buildah()
                buildah.remove_containers()
                Run(self, buildah, keys, tools).make(missing)
                self._prune(buildah)
                for name in missing:
                    record = self.store.find(name, keys[name])
                    results[name] = record and self._built(platform, record, cached=False)
        return results

    def buildah(self) -> Buildah:
        """buildah with the first storage driver that works here: overlay shares files, vfs copies them."""
        options = [
            Buildah(self.store.storage, self._paths.run / "images", self.store.work, self.runner, driver)
            for driver in ("overlay", "vfs")
        ]
        options[0].prepare()
        return options[0] if options[0].works() else options[1]

    def _prune(self, buildah: Buildah) -> None:
        kept = self.store.prune()
        wanted = {stage_reference(name, key) for record in kept for name, key in record.layers.items()}
        stale = sorted(ref for ref in buildah.images() if ref.startswith(STAGE_PREFIX) and ref not in wanted)
        buildah.remove_images(stale)

    def step(self, name: str, detail: str) -> None:
        self._progress.step(f"image {name}", detail)

    def done(self, name: str, seconds: float) -> None:
        self._progress.done(f"image {name}", seconds)

    def export(self, buildah: Buildah, reference: str) -> str:
        """Images share one layout, so one at a time."""
        with self._exporting:
            self.store.layout.mkdir(parents=True, exist_ok=True)
            return buildah.export(reference, self.store.layout)


def _needs_tool(layer: str) -> bool:
    return isinstance(LAYERS[layer].content, Tool)


@dataclass(slots=True)
class Stopwatch:
    seconds: float = 0.0


class Run:
    """One build, under the lock."""

    def __init__(
        self, builder: Builder, buildah: Buildah, keys: Mapping[str, str], tools: Mapping[str, Path]
    ) -> None:
        self._builder = builder
        self._buildah = buildah
        self._keys = keys
        self._tools = tools
        self._there = buildah.images()
        self._maker = ContentMaker(builder.inputs, builder.runner, builder.store.work)
        self._busy = threading.Semaphore(SIDE_BY_SIDE)
        self._futures: dict[str, Future[None]] = {}

    def make(self, names: list[str]) -> None:
        """Raises the first failure, after what runs beside it has ended."""
        layers = plan.needed(names)
        with ThreadPoolExecutor(max_workers=len(layers), thread_name_prefix="image") as pool:
            # Parents come first, so a layer's future is there when a child asks for it.
            for layer in layers:
                self._futures[layer] = pool.submit(self._guarded, LAYERS[layer], layer in names)
        for future in self._futures.values():
            future.result()

    def _guarded(self, layer: Layer, ends_image: bool) -> None:
        folder = self._builder.store.root
        try:
            self._layer(layer, ends_image)
        except ToolFailed as failure:
            remote = {Debian: mirror(), Wheels: PYPI}.get(type(layer.content), "")
            raise faults.explain(failure, f"image {layer.name}", folder, remote=remote) from failure
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise faults.disk_full(f"image {layer.name}", folder) from error

    def _layer(self, layer: Layer, ends_image: bool) -> None:
        reference = stage_reference(layer.name, self._keys[layer.name])
        seconds = 0.0
        if reference not in self._there:
            with self._working() as first:
                prepared = self._prepare(layer)
            if layer.parent:
                self._futures[layer.parent].result()
            with self._working() as second:
                self._commit(layer, reference, prepared)
            seconds = first.seconds + second.seconds
        if ends_image:
            with self._working() as third:
                self._builder.step(layer.name, "exporting")
                digest = self._builder.export(self._buildah, reference)
            seconds += third.seconds
            self._builder.store.keep(self._record(layer.name, digest, seconds))
        if seconds:
            self._builder.done(layer.name, seconds)

    @contextmanager
    def _working(self) -> Iterator[Stopwatch]:
        """Takes one of the places for work, and measures."""
        with self._busy:
            watch = Stopwatch()
            began = time.monotonic()
            yield watch
            watch.seconds = time.monotonic() - began

    def _record(self, name: str, digest: str, seconds: float) -> Record:
        layers = {layer: self._keys[layer] for layer in plan.lineage(name)}
        size = self._builder.store.manifest(digest).total
        return Record(name, self._keys[name], digest, layers, size, round(seconds, 2))

    def _prepare(self, layer: Layer) -> Path:
        match layer.content:
            case Debian() as content:
                self._builder.step(layer.name, f"Debian packages {' '.join(content.packages)}")
                return self._maker.debian(layer.name, content, inherited_packages(layer))
            case Wheels() as content:
                self._builder.step(layer.name, "Python packages")
                return self._maker.wheels(layer.name, content)
            case Code() as content:
                self._builder.step(layer.name, "code")
                return self._maker.code(layer.name, content)
            case Tool() as content:
                self._builder.step(layer.name, content.tool)
                return self._maker.tool(layer.name, content, self._tools[content.tool])
            case CProgram() as content:
                self._builder.step(layer.name, "compiling")
                return self._maker.c_program(layer.name, content)
            case content:
                assert_never(content)

    def _commit(self, layer: Layer, reference: str, prepared: Path) -> None:
        buildah = self._buildah
        parent = stage_reference(layer.parent, self._keys[layer.parent]) if layer.parent else None
        archive = prepared
        if isinstance(layer.content, Debian):
            self._builder.step(layer.name, "leaving out what the image does not need")
            if parent:
                with buildah.mounted(parent) as root:
                    archive = self._maker.debian_layer(layer.name, layer.content, prepared, root)
            else:
                archive = self._maker.debian_layer(layer.name, layer.content, prepared, None)
        self._builder.step(layer.name, "committing")
        with buildah.container(parent) as container:
            buildah.add(container, archive)
            archive.unlink()
            if layer.compiled:
                self._builder.step(layer.name, "compiling Python files")
                buildah.execute(container, *compile_command(layer.compiled))
            if layer.facts:
                buildah.configure(container, layer.name, layer.facts)
            buildah.commit(container, reference, timestamp=EPOCH)


def inherited_packages(layer: Layer) -> tuple[str, ...]:
    """Debian packages of the layers below, which the bootstrap of this one repeats to find the difference."""
    below = [LAYERS[name].content for name in plan.lineage(layer.name)[:-1]]
    return tuple(package for content in below if isinstance(content, Debian) for package in content.packages)


def compile_command(folders: Iterable[str]) -> list[str]:
    """Unchecked hashes: no file time decides whether the result counts. Some packages' templates do not compile."""
    command = ["python3", "-m", "compileall", "-q", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    script = '"$@" || test $? = 1'
    return ["sh", "-c", script, "compile", *command, *folders]


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
