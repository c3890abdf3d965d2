"""Makes the tar file of each kind of layer."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from infra.local.images.definitions import (
    DEBIAN_REVISION,
    PYTHON,
    SUITE,
    UNWANTED,
    USERS,
    Code,
    CProgram,
    Debian,
    Tool,
    Wheels,
)
from infra.local.images.inputs import HERE, MachineInputs, code_files
from infra.local.images.layers import filter_debian, pack_tree, pattern_of
from infra.local.images.runner import Runner, uv_program

EPOCH: Final = int(datetime.fromisoformat(DEBIAN_REVISION).replace(tzinfo=UTC).timestamp())
"""The time that everything in an image carries, in seconds since 1970."""
MIRROR_VARIABLE: Final = "VITALOPS_DEBIAN_MIRROR"
UNWANTED_OF_WHEELS: Final = ("bin/*", "*/tests/*", "*.pyc", ".lock")
"""What an installation of wheels has that an image does not need."""


def mirror() -> str | None:
    """The mirror that the user names; without one, Debian's own archives, security updates included."""
    return os.environ.get(MIRROR_VARIABLE) or None


def bootstrap_command(packages: tuple[str, ...], target: Path, source: str | None) -> list[str]:
    """mmdebstrap's command line for a root file system with these packages.

    Without a `source`, mmdebstrap takes the suite, its updates and its security updates from Debian.
    """
    users = "".join(
        f"echo {name}:x:{uid}:{uid}::{home}:/usr/sbin/nologin >> $1/etc/passwd; "
        f"echo {name}:x:{uid}: >> $1/etc/group; "
        for name, (uid, home) in USERS.items()
    )
    no_cluster = (
        "mkdir -p $1/etc/postgresql-common; "
        "echo create_main_cluster=false > $1/etc/postgresql-common/createcluster.conf"
    )
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--format=tar",
        f"--include={','.join(packages)}",
        # Before the packages, so that theirs take these users as they are and make nothing of their own.
        f"--essential-hook={users}{no_cluster}",
        SUITE,
        str(target),
        *([source] if source else []),
    ]


def keep_script(script: Path) -> None:
    """Let an installed command run by the image's Python, not by that of the machine that installed it."""
    _, _, body = script.read_text().partition("\n")
    script.write_text(f"#!/usr/bin/env python3\n{body}")


@dataclass(frozen=True, slots=True)
class ContentMaker:
    """Writes below `work`. Everything but Debian over a parent is made before the parent is there."""

    inputs: MachineInputs
    runner: Runner
    work: Path

    def debian(self, name: str, content: Debian, inherited: tuple[str, ...]) -> Path:
        """The whole root file system, with the parents' packages too."""
        target = self.work / f"{name}.root.tar"
        folder = self.work / f"{name}.tmp"
        folder.mkdir(parents=True)
        folder.chmod(0o755)  # apt's own user must be able to enter it
        packages = tuple(sorted({*inherited, *content.packages}))
        environment = {"TMPDIR": str(folder), "SOURCE_DATE_EPOCH": str(EPOCH), "LC_ALL": "C.UTF-8"}
        self.runner.run(bootstrap_command(packages, target, mirror()), environment=environment)
        return target

    def debian_layer(self, name: str, content: Debian, root: Path, parent: Path | None) -> Path:
        """What of `root` is not in `parent`, which is a mounted root file system."""
        target = self.work / f"{name}.tar"
        filter_debian(root, target, (*UNWANTED, *content.unwanted), parent, mtime=EPOCH)
        root.unlink()
        return target

    def wheels(self, name: str, content: Wheels) -> Path:
        folder = self.work / f"{name}.wheels"
        requirements = self.work / f"{name}.requirements"
        requirements.write_text(self.inputs.requirements(content))
        command = [uv_program(), "pip", "install", "--quiet", "--no-config", "--target", str(folder)]
        command += ["--python-version", PYTHON, "--python-platform", self.inputs.wheel_platform]
        command += ["--only-binary", ":all:", "--require-hashes", "--no-deps", "--link-mode", "copy"]
        command += [word for package in content.from_source for word in ("--no-binary", package)]
        self.runner.run([*command, "--requirements", str(requirements)])
        for script in content.scripts:
            keep_script(folder / "bin" / script)
        skip = pattern_of(UNWANTED_OF_WHEELS)
        kept = {f"bin/{script}" for script in content.scripts}
        files = sorted(
            path
            for path in folder.rglob("*")
            if not path.is_dir()
            and ((inside := path.relative_to(folder).as_posix()) in kept or not skip.match(inside))
        )
        target = self.work / f"{name}.tar"
        pack_tree(folder, files, target, content.target, mtime=EPOCH)
        shutil.rmtree(folder)
        return target

    def code(self, name: str, content: Code) -> Path:
        target = self.work / f"{name}.tar"
        pack_tree(
            self.inputs.project,
            code_files(self.inputs.project / content.package, content.parts),
            target,
            content.target,
            mtime=EPOCH,
        )
        return target

    def tool(self, name: str, content: Tool, program: Path) -> Path:
        target = self.work / f"{name}.tar"
        pack_tree(program.parent, [program], target, content.target, mtime=EPOCH)
        return target

    def c_program(self, name: str, content: CProgram) -> Path:
        root = self.work / f"{name}.root"
        program = root / content.target.lstrip("/")
        program.parent.mkdir(parents=True)
        compiler = os.environ.get("CC") or "cc"
        command = [
            compiler,
            "-Os",
            "-Wall",
            "-Werror",
            "-static",
            "-s",
            "-o",
            str(program),
            str(HERE / content.path),
        ]
        self.runner.run(command)
        target = self.work / f"{name}.tar"
        pack_tree(root, [program], target, "/", mtime=EPOCH)
        return target
