"""Stand-ins, held in memory, for the programs that images are made with."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import BinaryIO

import pytest

from infra.local.images.definitions import SUITE
from infra.local.images.runner import ToolFailed
from vitalops.model.loader import load_platform
from vitalops.model.platform import Platform


class FakeTools:
    """A Runner that answers as mmdebstrap, uv, cc and buildah would. buildah's storage is a set of names.

    `refuse` maps a word of a command line to what the program complains when it is called with that word.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.stored: set[str] = set()
        self.containers: set[str] = set()
        self.refuse: dict[str, str] = {}
        self.before: Callable[[tuple[str, ...]], object] = lambda call: None
        """Called with each command line before it is answered."""
        self._lock = threading.Lock()

    def named(self, program: str, word: str = "") -> list[tuple[str, ...]]:
        return [call for call in self.calls if Path(call[0]).name == program and (not word or word in call)]

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        feed: Callable[[BinaryIO], None] | None = None,
    ) -> str:
        call = tuple(argv)
        with self._lock:
            self.calls.append(call)
            self.before(call)
            for word, complaint in self.refuse.items():
                if word in call:
                    raise ToolFailed(call, 1, complaint)
            return self._answer(call)

    def _answer(self, call: tuple[str, ...]) -> str:
        match Path(call[0]).name:
            case "mmdebstrap":
                target = Path(call[call.index(SUITE) + 1])
                write_root(target, ["etc/hostname", *sorted(_option(call, "--include=").split(","))])
            case "uv" if "export" in call:
                return f"{call[-1]}==1 --hash=sha256:00\n"
            case "uv":
                folder = Path(call[call.index("--target") + 1])
                folder.mkdir()
                (folder / "module.py").write_text("x = 1\n")
                (folder / "bin").mkdir()
                for script in ("patronictl", "unwanted"):
                    (folder / "bin" / script).write_text("#!/home/somebody/python\nrun()\n")
            case "cc":
                Path(call[call.index("-o") + 1]).write_text("program")
            case "buildah":
                return self._buildah(call[7:])
            case program:
                raise AssertionError(f"{program} is not expected to be run")
        return ""

    def _buildah(self, call: tuple[str, ...]) -> str:
        match call[0]:
            case "images":
                return json.dumps([{"names": [name]} for name in sorted(self.stored)])
            case "containers":
                return "\n".join(sorted(self.containers))
            case "from":
                self.containers.add(call[call.index("--name") + 1])
            case "rm":
                self.containers -= set(call[1:])
            case "rmi":
                self.stored -= set(call[1:])
            case "mount":
                return "/nonexistent"
            case "commit":
                self.stored.add(call[-1])
            case "push" if call[-1].startswith("oci:"):
                write_image(Path(call[-1].removeprefix("oci:")), call[-2], _after(call, "--digestfile"))
            case _:
                pass
        return ""


def _option(call: Sequence[str], start: str) -> str:
    return next(word.removeprefix(start) for word in call if word.startswith(start))


def _after(call: Sequence[str], word: str) -> Path:
    return Path(call[list(call).index(word) + 1])


def write_root(target: Path, names: Sequence[str]) -> None:
    with tarfile.open(target, "w") as archive:
        for name in names:
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(name)
            archive.addfile(entry, io.BytesIO(name.encode()))


def write_blob(layout: Path, content: bytes) -> dict[str, str | int]:
    digest = hashlib.sha256(content).hexdigest()
    folder = layout / "blobs" / "sha256"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / digest).write_bytes(content)
    return {"mediaType": "application/octet-stream", "digest": f"sha256:{digest}", "size": len(content)}


def write_image(layout: Path, name: str, digest_file: Path | None = None, layers: int = 2) -> str:
    """An image whose first layer is the same for all, as a base is; returns the manifest's digest."""
    manifest = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": write_blob(layout, f"config of {name}".encode()),
        "layers": [
            write_blob(layout, b"base" if number == 0 else f"{name} {number}".encode())
            for number in range(layers)
        ],
    }
    digest = str(write_blob(layout, json.dumps(manifest).encode())["digest"])
    if digest_file:
        digest_file.write_text(digest)
    return digest


@pytest.fixture
def tools() -> FakeTools:
    return FakeTools()


@pytest.fixture(scope="session")
def platform() -> Platform:
    root = Path(__file__).resolve().parents[5]
    return load_platform(root / "platform.yaml", date(2026, 1, 1))
