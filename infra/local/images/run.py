"""One build of one family's layers: side by side, parents before children."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, assert_never

from infra.local.images import faults, plan
from infra.local.images.buildah import STAGE_PREFIX, Buildah
from infra.local.images.contents import EPOCH, ContentMaker, mirror
from infra.local.images.definitions import LAYERS, Code, CProgram, Debian, Layer, Tool, Wheels
from infra.local.images.runner import ToolFailed
from infra.local.images.store import ImageStore, Record
from infra.local.locks import exclusive
from vitalops.errors import RemoteError
from vitalops.ports.progress import Progress

SIDE_BY_SIDE: Final = 2
"""Layers that are made at once: most of the work is one core's."""
PYPI: Final = "the Python package index"


def stage_reference(name: str, key: str) -> str:
    """A layer's name in buildah's storage."""
    return f"{STAGE_PREFIX}/{name}:{key}"


@dataclass(slots=True)
class Stopwatch:
    began: float
    seconds: float = 0.0

    def so_far(self) -> float:
        return time.monotonic() - self.began


class Run:
    """Whoever starts it holds the family's lock."""

    def __init__(
        self,
        store: ImageStore,
        buildah: Buildah,
        maker: ContentMaker,
        keys: Mapping[str, str],
        tools: Mapping[str, Path],
        progress: Progress,
    ) -> None:
        self._store = store
        self._buildah = buildah
        self._maker = maker
        self._keys = keys
        self._tools = tools
        self._progress = progress
        self._there = buildah.images()
        self._busy = threading.Semaphore(SIDE_BY_SIDE)
        self._futures: dict[str, Future[None]] = {}

    def make(self, names: Iterable[str]) -> None:
        """Raises the first failure, after what runs beside it has ended."""
        names = tuple(names)
        layers = plan.needed(names)
        with ThreadPoolExecutor(max_workers=len(layers), thread_name_prefix="image") as pool:
            # Parents come first, so a layer's future is there when a child asks for it.
            for layer in layers:
                self._futures[layer] = pool.submit(self._guarded, LAYERS[layer], layer in names)
        for future in self._futures.values():
            future.result()

    def _guarded(self, layer: Layer, ends_image: bool) -> None:
        step, folder = f"image {layer.name}", self._store.root
        try:
            self._layer(layer, ends_image)
        except ToolFailed as failure:
            raise faults.explain(failure, step, folder, remote=_remote(layer)) from failure
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise faults.disk_full(step, folder) from error

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
                self._finish(layer.name, reference, seconds)
            seconds += third.seconds
        if seconds:
            self._progress.done(f"image {layer.name}", seconds)

    @contextmanager
    def _working(self) -> Generator[Stopwatch]:
        """Takes one of the places for work, and measures."""
        with self._busy:
            watch = Stopwatch(time.monotonic())
            yield watch
            watch.seconds = watch.so_far()

    def _prepare(self, layer: Layer) -> Path:
        match layer.content:
            case Debian() as content:
                self._step(layer, f"Debian packages {' '.join(content.packages)}")
                return self._maker.debian(layer.name, content, inherited_packages(layer))
            case Wheels() as content:
                self._step(layer, "Python packages")
                return self._maker.wheels(layer.name, content)
            case Code() as content:
                self._step(layer, "code")
                return self._unchanged(layer, self._maker.code(layer.name, content))
            case Tool() as content:
                self._step(layer, content.tool)
                return self._maker.tool(layer.name, content, self._tools[content.tool])
            case CProgram() as content:
                self._step(layer, "compiling")
                return self._maker.c_program(layer.name, content)
            case _:
                assert_never(layer.content)

    def _unchanged(self, layer: Layer, prepared: Path) -> Path:
        """Code may be edited meanwhile: what was packed must be what the tag says."""
        if plan.layer_keys(self._maker.inputs)[layer.name] != self._keys[layer.name]:
            raise RemoteError(f"image {layer.name}: its files changed while they were read", hint="run again")
        return prepared

    def _commit(self, layer: Layer, reference: str, prepared: Path) -> None:
        buildah = self._buildah
        parent = stage_reference(layer.parent, self._keys[layer.parent]) if layer.parent else None
        archive = prepared
        if isinstance(layer.content, Debian):
            self._step(layer, "leaving out what the image does not need")
            if parent:
                with buildah.mounted(parent) as root:
                    archive = self._maker.debian_layer(layer.name, layer.content, prepared, root)
            else:
                archive = self._maker.debian_layer(layer.name, layer.content, prepared, None)
        self._step(layer, "committing")
        with buildah.container(parent) as container:
            buildah.add(container, archive)
            archive.unlink()
            if layer.compiled:
                self._step(layer, "compiling Python files")
                buildah.execute(container, *compile_command(layer.compiled))
            if layer.facts:
                buildah.configure(container, layer.name, layer.facts)
            buildah.commit(container, reference, timestamp=EPOCH)

    def _finish(self, name: str, reference: str, before: float) -> None:
        """Put the image's blobs into the store, and a record that says it is complete.

        `before` is how many seconds its own layer has taken so far.
        """
        began = time.monotonic()
        layers = {layer: self._keys[layer] for layer in plan.lineage(name)}
        step = f"image {name}"
        with exclusive(
            self._store.lock, on_wait=lambda: self._progress.step(step, "waiting for another run")
        ):
            self._progress.step(step, "exporting")
            self._store.layout.mkdir(parents=True, exist_ok=True)
            digest = self._buildah.export(reference, self._store.layout)
            size = self._store.manifest(digest).total
            seconds = round(before + time.monotonic() - began, 2)
            self._store.keep(Record(name, self._keys[name], digest, layers, size, seconds))

    def _step(self, layer: Layer, detail: str) -> None:
        self._progress.step(f"image {layer.name}", detail)


def _remote(layer: Layer) -> str:
    """Where the layer's content is fetched from; empty when from nowhere."""
    match layer.content:
        case Debian():
            return mirror() or "the Debian archive"
        case Wheels():
            return PYPI
        case _:
            return ""


def inherited_packages(layer: Layer) -> tuple[str, ...]:
    """Debian packages of the layers below, which the bootstrap of this one repeats to find the difference."""
    below = [LAYERS[name].content for name in plan.lineage(layer.name)[:-1]]
    return tuple(package for content in below if isinstance(content, Debian) for package in content.packages)


def compile_command(folders: Iterable[str]) -> list[str]:
    """Unchecked hashes: no file time decides whether the result counts. Some packages' templates do not compile."""
    command = ["python3", "-m", "compileall", "-q", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    script = '"$@" || test $? = 1'
    return ["sh", "-c", script, "compile", *command, *folders]
