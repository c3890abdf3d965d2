"""Rule files on disk: a folder for each region, and promtool's opinion of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vitalops.errors import GateFailed, UsageError
from vitalops.model.platform import Platform
from vitalops.slo.emit import HEADER
from vitalops.slo.rules import Compiler

_CHECK_SECONDS = 300


@dataclass(frozen=True, slots=True)
class WrittenRules:
    """One region's rule files. `size` in bytes, of all of them."""

    region: str
    folder: Path
    files: tuple[str, ...]
    records: int
    alerts: int
    size: int


def write_rules(platform: Platform, regions: Iterable[str], folder: Path) -> tuple[WrittenRules, ...]:
    """Write the rules of regions to `folder/<region>/<file>`.

    Rule files that an earlier call wrote there and that are no longer compiled are removed; other files are left alone.
    Raises UsageError where the folder cannot be written to, or for a region in no pair.
    """
    compiler = Compiler(platform)
    return tuple(_write(region, compiler.region(region), folder / region) for region in regions)


def _write(region: str, files: Mapping[str, str], folder: Path) -> WrittenRules:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.yaml"):
            if old.name not in files and _is_ours(old):
                old.unlink()
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        where = error.filename or folder
        raise UsageError(
            f"cannot write {where}: {error.strerror}", hint="name a folder of your own with --out"
        ) from None
    return WrittenRules(
        region=region,
        folder=folder,
        files=tuple(files),
        records=sum(text.count("\n      - record: ") for text in files.values()),
        alerts=sum(text.count("\n      - alert: ") for text in files.values()),
        size=sum(len(text.encode()) for text in files.values()),
    )


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(HEADER)) == HEADER.encode()


def check_rules(promtool: str, written: Sequence[WrittenRules]) -> None:
    """Have promtool read the files. Raises GateFailed with what it says of the first region that it refuses."""
    for rules in written:
        try:
            done = subprocess.run(
                [promtool, "check", "rules", *rules.files],
                cwd=rules.folder,
                capture_output=True,
                text=True,
                timeout=_CHECK_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UsageError(f"{promtool} cannot be run: {error}") from None
        if done.returncode:
            said = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
            problems = [line for line in said if line and "SUCCESS" not in line and line[:8] != "Checking"]
            raise GateFailed(f"promtool refuses the rules of {rules.region}: {' '.join(problems[:3])}")
