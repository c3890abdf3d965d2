"""Sends finished images to the registry that platform.yaml names, for clusters that one already has."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from infra.local.images import faults
from infra.local.images.build import BuiltImage, storage
from infra.local.images.run import stage_reference
from infra.local.images.runner import Runner, SubprocessRunner, ToolFailed
from infra.local.images.store import ImageStore
from infra.local.toolchain.system import ensure_system
from vitalops.errors import UsageError
from vitalops.model.platform import Platform
from vitalops.paths import Paths
from vitalops.ports.progress import Progress


@dataclass(frozen=True, slots=True)
class Pushed:
    name: str
    reference: str
    seconds: float


def require_registry(platform: Platform) -> str:
    """Raises UsageError where the platform names no registry."""
    if platform.images.registry is None:
        raise UsageError(
            "platform.yaml names no registry to push to", hint="set `images: {registry: HOST/PATH}`"
        )
    return platform.images.registry


def push(
    platform: Platform,
    images: Iterable[BuiltImage],
    progress: Progress,
    *,
    verify_tls: bool = True,
    paths: Paths | None = None,
    runner: Runner | None = None,
) -> tuple[Pushed, ...]:
    """Push `images` under their references, with the credentials of `buildah login`.

    Blobs that the registry has are skipped. Raises UsageError where the platform names no registry, RemoteError
    where the registry refuses or is not reached.
    """
    registry = require_registry(platform)
    where = paths or Paths.from_environment()
    store = ImageStore(where.images)
    ensure_system(("buildah",), progress)
    work = store.cleared_work("push")
    buildah = storage(store, where, runner or SubprocessRunner(), work, "push")
    pushed: list[Pushed] = []
    for image in images:
        began = time.monotonic()
        step = f"push {image.name}"
        progress.step(step, image.reference)
        key = image.reference.rpartition(":")[2]
        try:
            buildah.push(stage_reference(image.name, key), image.reference, verify=verify_tls)
        except ToolFailed as failure:
            raise faults.explain(failure, step, store.root, remote=registry) from failure
        seconds = round(time.monotonic() - began, 2)
        progress.done(step, seconds)
        pushed.append(Pushed(image.name, image.reference, seconds))
    return tuple(pushed)
