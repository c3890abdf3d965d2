"""What the toolchain consists of, read from toolchain.toml, and the hash under which each group is kept. Pure."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal, get_args

GO_FLAGS = ("-trimpath", "-buildvcs=false")
Stage = Literal["regions", "media", "telemetry"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)


@dataclass(frozen=True, slots=True)
class Download:
    """An official release. `member` is the tool's path inside the archive; empty: the URL is the binary itself."""

    url: str
    checksums: str
    member: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Tools that are fetched or built together. `package` is what `go build` is given in `source`."""

    name: str
    stage: Stage
    version: str
    tools: tuple[str, ...]
    package: str
    source: Path
    probe: tuple[str, ...] = ()
    """Command whose output names the version, to recognise an installed one; empty: never taken from PATH."""
    variables: tuple[str, ...] = ()
    """Go variables set by the linker, `import/path.name=value`."""
    built_as: Mapping[str, str] = field(default_factory=dict[str, str])
    """Names that `go build` gives, where they differ from the tools'."""
    download: Download | None = None

    @property
    def ldflags(self) -> str:
        variables = (f"-X {variable.format(version=self.version)}" for variable in self.variables)
        return " ".join(("-s", "-w", *variables))


@dataclass(frozen=True, slots=True)
class GoSource:
    minimum: tuple[int, ...]
    pypi: str
    disk_gigabytes: int


@dataclass(frozen=True, slots=True)
class Specification:
    go: GoSource
    groups: Mapping[str, Group]

    def of_stage(self, *stages: Stage) -> tuple[str, ...]:
        return tuple(name for name, group in self.groups.items() if group.stage in stages)


def parse_version(text: str) -> tuple[int, ...]:
    """`go1.26.8` or `1.26.8` as numbers; a suffix such as `rc1` or `-custom` ends the number it follows."""
    numbers: list[int] = []
    for part in text.removeprefix("go").removeprefix("v").split("."):
        digits = ""
        for character in part:
            if not character.isdigit():
                break
            digits += character
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)


def parse(document: Mapping[str, Any], sources: Path) -> Specification:
    go = document["go"]
    groups: dict[str, Group] = {}
    for name, entry in document["groups"].items():
        values = dict(entry)
        download = values.pop("download", None)
        for key in ("tools", "probe", "variables"):
            values[key] = tuple(values.get(key, ()))
        groups[name] = Group(
            name=name, source=sources / name, download=Download(**download) if download else None, **values
        )
    return Specification(GoSource(parse_version(go["minimum"]), go["pypi"], go["disk_gigabytes"]), groups)


@cache
def specification() -> Specification:
    """The committed toolchain.toml."""
    root = Path(str(resources.files("infra.local.toolchain")))
    return parse(tomllib.loads((root / "toolchain.toml").read_text()), root / "go")


def content_hash(group: Group, architecture: str) -> str:
    """Twelve hexadecimal digits over all that decides the group's binaries.

    The Go release in use is left out on purpose: upgrading Go must not rebuild everything, go.mod asks for a minimum.
    """
    digest = hashlib.sha256()
    settings = {
        "version": group.version,
        "tools": group.tools,
        "package": group.package,
        "flags": GO_FLAGS,
        "ldflags": group.ldflags,
        "architecture": architecture,
        "built_as": dict(group.built_as),
    }
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for path in sorted(path for path in group.source.iterdir() if path.is_file()):
        content = path.read_bytes()
        digest.update(f"\0{path.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:12]
