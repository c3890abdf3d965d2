"""Builds one group from its Go modules. CGO is off: no C compiler is needed, and the binaries run on any Linux."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from infra.local.toolchain.spec import GO_FLAGS, Group
from vitalops.errors import RemoteError
from vitalops.ports.progress import Progress

DISK_FULL = "no space left on device"


def build_command(go: str, group: Group, target: Path) -> list[str]:
    """The flags are part of Go's own cache key: change them and everything compiles anew."""
    return [go, "build", "-v", *GO_FLAGS, "-ldflags", group.ldflags, "-o", f"{target}/", group.package]


def build_environment(environment: dict[str, str]) -> dict[str, str]:
    return {
        **environment,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def explain(group: Group, lines: Iterable[str], cache: Path, needed_gigabytes: int) -> RemoteError:
    """One line for a failed build, from the compiler's last lines."""
    said = [line.strip() for line in lines if line.strip()]
    free = shutil.disk_usage(cache).free / 1e9
    if any(DISK_FULL in line for line in said):
        return RemoteError(
            f"disk full while building {group.name}: {free:.1f} GB free at {cache}",
            hint=f"free about {needed_gigabytes} GB there, or point VITALOPS_CACHE, GOCACHE and TMPDIR elsewhere; "
            "what is compiled already is kept",
        )
    reason = next((line for line in reversed(said) if ":" in line), said[-1] if said else "no reason given")
    return RemoteError(
        f"building {group.name} {group.version} failed: {reason}",
        hint="check that the Go module proxy is reachable (GOPROXY), then run again",
    )


def build(go: str, group: Group, target: Path, progress: Progress, needed_gigabytes: int) -> None:
    """Builds into `target`, an existing empty folder. Raises RemoteError with one line where that fails."""
    step = f"{group.name} {group.version}"
    last: deque[str] = deque(maxlen=40)
    compiled = 0
    shown = 0.0
    with subprocess.Popen(
        build_command(go, group, target),
        cwd=group.source,
        env=build_environment(dict(os.environ)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # an interrupt ends the compilers by our hand
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                last.append(line)
                # With -v Go names each package as it compiles it; everything else it says has a blank or a colon.
                if not any(mark in line.strip() for mark in (" ", ":")):
                    compiled += 1
                if time.monotonic() - shown > 0.5:
                    shown = time.monotonic()
                    progress.step(step, f"{compiled} packages compiled")
            code = process.wait()
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    if code != 0:
        raise explain(group, last, target.parent, needed_gigabytes)
    for tool, name in group.built_as.items():
        (target / name).rename(target / tool)
