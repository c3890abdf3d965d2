"""Starting a region's processes, and finding them again.

Nothing is written down about a running process: the kernel knows it. Every process is born into the region's control
group with three variables (region, name, digest of how it was started), which /proc gives back. So a lost or stale
record cannot mislead, a process id used again is never mistaken, and `kill -9` of the starter changes nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local.regions import cgroups
from infra.local.regions.commands import inside
from infra.local.regions.layout import Layout
from infra.local.regions.programs import SYSTEM_PATH, Program
from vitalops.errors import RemoteError

REGION_VARIABLE = "VITALOPS_REGION"
PROCESS_VARIABLE = "VITALOPS_PROCESS"
DIGEST_VARIABLE = "VITALOPS_DIGEST"
LOG_LIMIT = 20 * 1024 * 1024
"""Bytes; a longer log is put aside (one generation) when its process starts."""

# Joins the control groups named before `--`, then becomes the program. In the background, so that the process belongs
# to init from its first moment, whoever started it.
LAUNCHER = """
log=$1; shift
(
  while [ "$1" != -- ]; do echo 0 > "$1" || exit 1; shift; done; shift
  exec "$@"
) >> "$log" 2>&1 < /dev/null &
echo $!
"""


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """What /proc says of one process."""

    pid: int
    state: str
    started_ticks: int
    """Clock ticks since boot; with the pid it names a process uniquely until the next boot."""
    command: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Running:
    """A region's process that is alive."""

    name: str
    pid: int
    digest: str
    started: float
    """Seconds since the epoch."""


def parse_stat(text: str) -> tuple[str, int]:
    """State letter and start time in ticks, from /proc/PID/stat (proc(5)); the name may hold blanks and parentheses."""
    fields = text[text.rindex(")") + 2 :].split(" ")
    return fields[0], int(fields[19])


def read_process(pid: int, proc: Path = Path("/proc")) -> ProcessFacts | None:
    """None where it is gone or is not ours to look at."""
    try:
        state, ticks = parse_stat((proc / str(pid) / "stat").read_text())
        command = (proc / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
        variables = (proc / str(pid) / "environ").read_bytes().decode(errors="replace").split("\0")
    except (OSError, ValueError):
        return None
    environment = dict(variable.split("=", 1) for variable in variables if "=" in variable)
    return ProcessFacts(pid, state, ticks, tuple(command), environment)


def recognise(
    region: str, facts: ProcessFacts, programs: Mapping[str, Program], boot: float, tick: int
) -> Running | None:
    """The region's process that `facts` describe; None for its children (shims and helpers inherit the variables, but
    run another program), for the dead and for strangers."""
    if facts.state in "ZX" or facts.environment.get(REGION_VARIABLE) != region or not facts.command:
        return None
    program = programs.get(facts.environment.get(PROCESS_VARIABLE, ""))
    if program is None or Path(facts.command[0]).name != Path(program.arguments[0]).name:
        return None
    started = boot + facts.started_ticks / tick
    return Running(program.name, facts.pid, facts.environment.get(DIGEST_VARIABLE, ""), started)


def boot_time(stat: str) -> float:
    """Seconds since the epoch at which the machine started, from /proc/stat."""
    return float(next(line for line in stat.splitlines() if line.startswith("btime ")).split()[1])


def running(
    region: Layout, programs: Mapping[str, Program], found: cgroups.Hierarchies
) -> dict[str, Running]:
    """The region's live processes by name."""
    boot, tick = boot_time(Path("/proc/stat").read_text()), os.sysconf("SC_CLK_TCK")
    alive: dict[str, Running] = {}
    for pid in cgroups.processes(found, region.cgroup, cgroups.SYSTEM):
        facts = read_process(pid)
        known = recognise(region.name, facts, programs, boot, tick) if facts else None
        if known is not None:
            alive[known.name] = known
    return alive


def log_file(region: Layout, name: str) -> Path:
    return region.logs / f"{name}.log"


def spawn(region: Layout, program: Program, found: cgroups.Hierarchies) -> int:
    """Starts a program in the region's namespace and control group, in a session of its own. Returns its pid."""
    log = log_file(region, program.name)
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    environment = {
        "PATH": SYSTEM_PATH,
        "HOME": "/root",
        **program.environment,
        REGION_VARIABLE: region.name,
        PROCESS_VARIABLE: program.name,
        DIGEST_VARIABLE: program.digest(),
    }
    joins = [str(path) for path in found.joins(region.cgroup)]
    command = [*joins, "--", *inside(region.network_namespace_file), *program.arguments]
    result = subprocess.run(
        ["/bin/sh", "-c", LAUNCHER, "sh", str(log), *command],
        env=environment,
        cwd="/",
        umask=0o022,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return int(result.stdout)


def is_alive(pid: int) -> bool:
    facts = read_process(pid)
    return facts is not None and facts.state not in "ZX"


def last_words(region: Layout, name: str) -> str:
    """The last line of a process's log that is not blank, shortened to be part of a message."""
    try:
        with log_file(region, name).open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - 8192, 0))
            lines = [
                line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()
            ]
    except OSError:
        lines = []
    return lines[-1][-300:] if lines else "its log is empty"


def wait_until(
    region: Layout, what: str, check: Callable[[], bool], needs: Mapping[str, int], *, seconds: float
) -> None:
    """Waits for `check`, as long as the processes that it `needs` (pid by name) live.

    Raises RemoteError naming the process that ended, or what is still missing after `seconds`.
    """
    deadline = time.monotonic() + seconds
    pause = 0.02
    while not check():
        for name, pid in needs.items():
            if not is_alive(pid):
                raise RemoteError(
                    f"{region.name}: {name} ended: {last_words(region, name)}",
                    hint=f"vitalops regions logs {region.name} --process {name}",
                )
        if time.monotonic() > deadline:
            names = ", ".join(needs)
            raise RemoteError(
                f"{region.name}: no {what} after {seconds:.0f} s; {names} still running",
                hint=f"vitalops regions logs {region.name} --process {next(iter(needs), 'kubelet')}",
            )
        time.sleep(pause)
        pause = min(pause * 1.3, 0.2)


def send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def wait_gone(pids: Iterable[int], seconds: float) -> set[int]:
    """Waits until none of them lives; returns those that still do."""
    left = {pid for pid in pids if is_alive(pid)}
    deadline = time.monotonic() + seconds
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = {pid for pid in left if is_alive(pid)}
    return left
