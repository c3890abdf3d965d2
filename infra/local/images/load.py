"""Brings finished images into containerd of local regions, sending only the blobs that a region does not have."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from infra.local.images import faults
from infra.local.images.build import BuiltImage
from infra.local.images.runner import Runner, SubprocessRunner, ToolFailed
from infra.local.images.store import ImageStore
from infra.local.toolchain.manager import ensure
from vitalops.errors import RemoteError, UsageError
from vitalops.paths import Paths
from vitalops.ports.progress import Progress

NAMESPACE: Final = "k8s.io"
"""containerd's namespace of what the kubelet sees."""
PINNED: Final = "io.cri-containerd.pinned=pinned"
"""Keeps the kubelet from deleting an image that no registry could give back."""
_NAME: Final = "io.containerd.image.name"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one region got: references imported, and bytes sent. Images that it had already are not named."""

    region: str
    references: tuple[str, ...]
    sent: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Containerd:
    """One region's containerd, through its ctr."""

    ctr: str
    socket: Path
    runner: Runner

    def _do(self, *arguments: str) -> str:
        return self.runner.run(
            [self.ctr, "--address", str(self.socket), "--namespace", NAMESPACE, *arguments]
        )

    def references(self) -> dict[str, str]:
        """Manifest digest by reference. The kubelet's side adds a second reference to each image, `sha256:...`."""
        rows = [row.split() for row in self._do("images", "ls").splitlines()[1:]]
        return {row[0]: row[2] for row in rows if len(row) > 2}

    def blobs(self) -> frozenset[str]:
        return frozenset(self._do("content", "ls", "--quiet").split())

    def in_use(self) -> frozenset[str]:
        """References of the images that containers were made from."""
        rows = self._do("containers", "ls").splitlines()[1:]
        return frozenset(row.split()[1] for row in rows if len(row.split()) > 1)

    def remove(self, references: Sequence[str]) -> None:
        if references:
            self._do("images", "rm", *references)

    def load(self, images: Sequence[BuiltImage], without: frozenset[str]) -> int:
        """Import these images, leaving out the blobs in `without`. Returns the bytes sent."""
        blobs = missing_blobs(images, without)
        command = [self.ctr, "--address", str(self.socket), "--namespace", NAMESPACE, "images", "import"]
        command += ["--label", PINNED, "-"]
        self.runner.run(command, feed=lambda pipe: write_archive(pipe, images, blobs))
        return sum(path.stat().st_size for path in blobs.values())


def missing_blobs(images: Iterable[BuiltImage], there: frozenset[str]) -> dict[str, Path]:
    """Blobs to send by digest, manifests included: those are always sent, as they name the rest."""
    found: dict[str, Path] = {}
    for image in images:
        store = ImageStore(image.layout.parent)
        manifest = store.manifest(image.digest)
        found[manifest.digest] = store.blob(manifest.digest)
        found |= {digest: store.blob(digest) for digest in manifest.blobs if digest not in there}
    return found


def index_of(images: Iterable[BuiltImage]) -> dict[str, Any]:
    """An OCI index that gives each image its full name."""
    manifests: list[dict[str, Any]] = []
    for image in images:
        manifest = ImageStore(image.layout.parent).manifest(image.digest)
        manifests.append(
            {
                "mediaType": manifest.media_type,
                "digest": manifest.digest,
                "size": manifest.size,
                "annotations": {_NAME: image.reference},
            }
        )
    return {"schemaVersion": 2, "manifests": manifests}


def write_archive(pipe: BinaryIO, images: Sequence[BuiltImage], blobs: Mapping[str, Path]) -> None:
    """An OCI archive of `images` with only these blobs."""
    texts = {"oci-layout": {"imageLayoutVersion": "1.0.0"}, "index.json": index_of(images)}
    with tarfile.open(fileobj=pipe, mode="w|", bufsize=1 << 20) as archive:
        for digest, path in blobs.items():
            archive.add(path, f"blobs/{digest.replace(':', '/')}")
        for name, document in texts.items():
            content = json.dumps(document).encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def stale(there: Mapping[str, str], images: Sequence[BuiltImage], in_use: frozenset[str]) -> list[str]:
    """References of older versions of `images` that no container uses and that the cache has forgotten.

    `there` is the region's manifest digest by reference.
    """
    kept = {image.reference for image in images} | in_use
    repositories = {image.reference.rpartition(":")[0]: image for image in images}
    for repository, image in repositories.items():
        records = ImageStore(image.layout.parent).records()
        kept |= {f"{repository}:{record.key}" for record in records if record.name == image.name}
    named = [ref for ref in there if ref.rpartition(":")[0] in repositories and ref not in kept]
    # An image goes only with its last reference.
    digests = {there[ref] for ref in named} - {there[ref] for ref in kept if ref in there}
    unnamed = [ref for ref in there if ref.startswith("sha256:") and there[ref] in digests]
    return sorted([*named, *unnamed])


def load(
    regions: Iterable[str],
    images: Mapping[str, BuiltImage],
    progress: Progress,
    *,
    paths: Paths | None = None,
    ctr: str | None = None,
    runner: Runner | None = None,
) -> tuple[Loaded, ...]:
    """Import `images` into these local regions, side by side. `ctr` is the toolchain's where not given.

    Raises UsageError for a region that does not run, RemoteError where its containerd refuses.
    """
    where = paths or Paths.from_environment()
    sockets = {region: where.region_run(region) / "containerd.sock" for region in regions}
    for region, socket in sockets.items():
        if not socket.exists():
            raise UsageError(f"region {region} does not run", hint=f"vitalops regions start {region}")
    program = ctr or str(ensure(("containerd",), progress, where).path("ctr"))
    clients = {
        region: Containerd(program, socket, runner or SubprocessRunner())
        for region, socket in sockets.items()
    }
    if not clients:
        return ()
    with ThreadPoolExecutor(max_workers=len(clients), thread_name_prefix="load") as pool:
        futures = [
            pool.submit(load_region, region, client, tuple(images.values()), progress)
            for region, client in clients.items()
        ]
    return tuple(future.result() for future in futures)


def load_region(region: str, client: Containerd, images: Sequence[BuiltImage], progress: Progress) -> Loaded:
    began = time.monotonic()
    step = f"images into {region}"
    try:
        there = client.references()
        missing = [image for image in images if image.reference not in there]
        sent = 0
        if missing:
            progress.step(step, ", ".join(image.name for image in missing))
            try:
                sent = client.load(missing, client.blobs())
            except ToolFailed:
                # A blob may have been collected as garbage since it was listed.
                sent = client.load(missing, frozenset())
            client.remove(stale(there, images, client.in_use()))
            progress.done(step, time.monotonic() - began)
    except ToolFailed as failure:
        raise faults.explain(failure, step, client.socket.parent, remote="") from failure
    except FileNotFoundError as error:
        raise RemoteError(
            f"{step}: {error.filename} is gone from the cache", hint="vitalops images build"
        ) from error
    references = tuple(image.reference for image in missing)
    return Loaded(region, references, sent, round(time.monotonic() - began, 2))
