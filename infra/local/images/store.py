"""Finished images in the user's cache: an OCI layout of shared blobs, and a record of each image."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

KEPT: Final = 2
"""Versions of an image that stay, so that switching between two branches rebuilds nothing."""


@dataclass(frozen=True, slots=True)
class Record:
    """A finished image. `layers` are its layers' keys by name, lowest first; `size` is that of its blobs."""

    name: str
    key: str
    digest: str
    layers: dict[str, str]
    size: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest points to: digests, and the sizes in bytes that they have compressed."""

    digest: str
    size: int
    media_type: str
    blobs: dict[str, int]

    @property
    def total(self) -> int:
        return self.size + sum(self.blobs.values())


class ImageStore:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.layout = root / "layout"
        self.work = root / "work"
        self.storage = root / "storage"
        self.lock = root / "lock"
        """Held while blobs or records are written or removed."""
        self._records = root / "built"

    def blob(self, digest: str) -> Path:
        algorithm, _, value = digest.partition(":")
        return self.layout / "blobs" / algorithm / value

    def manifest(self, digest: str) -> Manifest:
        """Raises OSError where a blob is not there, ValueError where it is not a manifest."""
        content = self.blob(digest).read_bytes()
        document: dict[str, Any] = json.loads(content)
        parts = (document["config"], *document["layers"])
        blobs = {part["digest"]: int(part["size"]) for part in parts}
        return Manifest(digest, len(content), document["mediaType"], blobs)

    def find(self, name: str, key: str) -> Record | None:
        """The image, where it is finished and all of its blobs are there in full size."""
        path = self._path(name, key)
        record = _read(path)
        if record is None:
            return None
        try:
            blobs = self.manifest(record.digest).blobs
            if any(self.blob(digest).stat().st_size != size for digest, size in blobs.items()):
                return None
        except (OSError, ValueError, KeyError):
            return None
        os.utime(path)
        return record

    def keep(self, record: Record) -> None:
        """Atomically: an image is either finished or not there."""
        path = self._path(record.name, record.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".partial")
        temporary.write_text(json.dumps(asdict(record), indent=1))
        temporary.replace(path)

    def records(self) -> list[Record]:
        """All finished images, the most recently used first."""
        paths = sorted(self._records.glob("*/*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        return [record for path in paths if (record := _read(path)) is not None]

    def prune(self) -> list[Record]:
        """Forget all but the last KEPT versions of each image, and their blobs. Returns what stays."""
        kept: list[Record] = []
        for record in self.records():
            if sum(record.name == other.name for other in kept) < KEPT:
                kept.append(record)
            else:
                self._path(record.name, record.key).unlink(missing_ok=True)
        wanted: set[str] = set()
        for record in kept:
            try:
                wanted |= {record.digest, *self.manifest(record.digest).blobs}
            except (OSError, ValueError, KeyError):
                continue
        for path in (self.layout / "blobs" / "sha256").glob("*"):
            if f"sha256:{path.name}" not in wanted:
                path.unlink(missing_ok=True)
        return kept

    def family_lock(self, family: str) -> Path:
        """Held by the one run that builds images of this family."""
        return self.root / f"{family}.lock"

    def cleared_work(self, family: str) -> Path:
        """The family's folder of temporary files, without what an interrupted build left: mounts go first."""
        folder = self.work / family
        for mount in reversed(_mounts_below(folder)):
            subprocess.run(["umount", "--lazy", mount], check=False)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def _path(self, name: str, key: str) -> Path:
        return self._records / name / f"{key}.json"


def _read(path: Path) -> Record | None:
    try:
        return Record(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _mounts_below(folder: Path) -> list[str]:
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return []
    points = (line.split()[4] for line in lines)
    return [point for point in points if point.startswith(f"{folder}/")]
