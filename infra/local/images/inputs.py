"""What decides the content of a layer, read from this machine."""

from __future__ import annotations

import fnmatch
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol, assert_never

from infra.local.images.definitions import (
    DEBIAN_REVISION,
    GLIBC,
    PYTHON,
    SUITE,
    UNWANTED,
    USERS,
    Code,
    Content,
    CProgram,
    Debian,
    Tool,
    Wheels,
)
from infra.local.images.runner import Runner, SubprocessRunner, uv_program
from infra.local.toolchain.manager import architecture
from infra.local.toolchain.spec import content_hash, specification
from vitalops.errors import UsageError

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent.parent
WHEEL_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
UNSHIPPED = ("__pycache__", "tests", ".*", "*.pyc")
"""Names of files and folders that are not part of a package's code."""


class Inputs(Protocol):
    """Gives a text per content that changes when, and only when, what it will be made of changes."""

    def fingerprint(self, content: Content) -> str: ...


def code_files(package: Path, parts: tuple[str, ...] = ()) -> Iterator[Path]:
    """The files of a package that an image gets, in a fixed order; only of `parts` where there are any."""
    for folder, folders, files in os.walk(package):

        def left_out(name: str, top: bool = Path(folder) == package) -> bool:
            return _unshipped(name) or (top and bool(parts) and name not in parts)

        folders[:] = sorted(name for name in folders if not left_out(name))
        yield from (Path(folder, name) for name in sorted(files) if not left_out(name))


def _unshipped(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in UNSHIPPED)


def digest_of_files(package: Path, parts: tuple[str, ...] = ()) -> str:
    digest = hashlib.sha256()
    for path in code_files(package, parts):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


@dataclass(frozen=True)
class MachineInputs:
    """The project's checkout and this machine's architecture."""

    project: Path = PROJECT
    runner: Runner = field(default_factory=SubprocessRunner)

    @cached_property
    def architecture(self) -> str:
        return architecture()

    @property
    def wheel_platform(self) -> str:
        return f"{WHEEL_ARCHITECTURES[self.architecture]}-manylinux_{GLIBC}"

    def requirements(self, wheels: Wheels) -> str:
        """The group's packages with their versions and hashes, as the lock has them.

        Raises UsageError where the lock is not there: an installed package does not carry it.
        """
        if not (self.project / "uv.lock").exists():
            raise UsageError(
                f"no uv.lock in {self.project}", hint="images are built from a checkout of the repository"
            )
        command = [uv_program(), "export", "--frozen", "--quiet", "--no-header", "--no-annotate"]
        command += ["--project", str(self.project), "--no-emit-project", "--only-group", wheels.group]
        return self.runner.run(command)

    def fingerprint(self, content: Content) -> str:
        match content:
            case Debian():
                users = ",".join(f"{name}:{uid}:{home}" for name, (uid, home) in USERS.items())
                return "\n".join((SUITE, DEBIAN_REVISION, self.architecture, users, *UNWANTED))
            case Wheels():
                return "\n".join((PYTHON, self.wheel_platform, self.requirements(content)))
            case Code(package, parts=parts):
                return digest_of_files(self.project / package, parts)
            case Tool(group):
                return content_hash(specification().groups[group], self.architecture)
            case CProgram(path):
                return f"{self.architecture}\n{(HERE / path).read_text()}"
            case _:
                assert_never(content)
