"""Running a command as its user would, and what a machine's processes hold in memory."""

from __future__ import annotations

import json
import os
import platform as machine
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity. `limit` is what the project promises; `runs` are in `unit`."""

    name: str
    unit: str
    limit: float
    runs: tuple[float, ...]

    @property
    def holds(self) -> bool:
        """Judged on the median: single runs on shared machines say little."""
        return statistics.median(self.runs) <= self.limit

    def record(self) -> dict[str, object]:
        return {
            "name": self.name,
            "unit": self.unit,
            "limit": self.limit,
            "runs": len(self.runs),
            "minimum": round(min(self.runs), 3),
            "median": round(statistics.median(self.runs), 3),
            "maximum": round(max(self.runs), 3),
            "holds": self.holds,
        }


class CommandFailed(Exception):
    """A measured command did not succeed: its time means nothing."""


def seconds_of(command: Sequence[str], *, expected: Sequence[int] = (0,)) -> float:
    """Wall time of `command`, in seconds. Raises CommandFailed with its last lines on any other exit status."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - start
    if done.returncode not in expected:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise CommandFailed(f"{' '.join(command)} exited with {done.returncode}:\n{tail}")
    return elapsed


def repeated(runs: int, measure: Callable[[], float]) -> tuple[float, ...]:
    return tuple(measure() for _ in range(runs))


def available_bytes() -> int:
    """MemAvailable of /proc/meminfo: what could be handed out without swapping."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise CommandFailed("/proc/meminfo has no MemAvailable")


def machine_record() -> dict[str, object]:
    processor = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        machine.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": machine.release(),
        "python": machine.python_version(),
    }


def write(path: Path, figures: Sequence[Figure], *, keep: bool = False) -> None:
    """Writes the results whole or not at all; with `keep`, figures that were not measured stay as they are."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    measured = {figure.name: {**figure.record(), "date": now} for figure in figures}
    kept: list[dict[str, object]] = json.loads(path.read_text())["figures"] if keep and path.exists() else []
    records = {str(record["name"]): record for record in kept} | measured
    document = {"machine": machine_record(), "figures": list(records.values())}
    scratch = path.with_suffix(".tmp")
    scratch.write_text(json.dumps(document, indent=2) + "\n")
    scratch.replace(path)
