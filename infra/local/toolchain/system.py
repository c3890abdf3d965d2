"""Programs that come from the operating system: which Debian package has each, installed where that is possible."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from infra.local.locks import exclusive
from vitalops.errors import RemoteError, UsageError
from vitalops.ports.progress import Progress

DEBIAN_PACKAGES = {
    "buildah": "buildah",
    "chromium": "chromium",
    "faketime": "faketime",
    "haproxy": "haproxy",
    "ip": "iproute2",
    "knotd": "knot",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "named": "bind9",
    "nft": "nftables",
    "nsenter": "util-linux",
    "pg_createcluster": "postgresql",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "promtool": "prometheus",
    "ptp": "containernetworking-plugins",
    "runc": "runc",
}
"""Package by program. `ptp` stands for all CNI plugins, and `pg_createcluster` for PostgreSQL: they are not on PATH."""

REGION_PROGRAMS = ("ip", "nft", "nsenter", "mount", "runc", "ptp")
CNI_FOLDERS = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
APT_LOCK = Path("/run/lock/vitalops-apt.lock")
POLICY = Path("/usr/sbin/policy-rc.d")
"""Where Debian's packages ask whether they may start their services: 101 says no (invoke-rc.d(8))."""

Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


def find_program(name: str) -> str | None:
    """Its path: on PATH, in the system's folders (a user's PATH often lacks sbin), or among the CNI plugins."""
    found = shutil.which(name) or shutil.which(name, path=SYSTEM_FOLDERS)
    return found or shutil.which(name, path=":".join(CNI_FOLDERS))


def packages_for(names: Iterable[str]) -> tuple[str, ...]:
    """Debian packages of programs, each once, in order. Raises KeyError for a program not in the table."""
    return tuple(dict.fromkeys(DEBIAN_PACKAGES[name] for name in names))


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def ensure_system(
    names: Iterable[str],
    progress: Progress,
    *,
    find: Callable[[str], str | None] = find_program,
    run: Run = _run,
    root: bool | None = None,
    policy: Path = POLICY,
) -> dict[str, str]:
    """Path of each named program; installs what is missing by apt-get as root, and starts no service of it.

    Raises UsageError naming every missing program in one line where it cannot install, RemoteError where apt-get fails.
    """
    names = tuple(names)
    missing = [name for name in names if find(name) is None]
    if missing:
        packages = packages_for(missing)
        apt = find("apt-get")
        is_root = os.geteuid() == 0 if root is None else root
        if apt is None or not is_root:
            command = f"sudo apt-get install {' '.join(packages)}"
            advice = (
                command
                if apt
                else f"install them by this system's package manager (Debian: {' '.join(packages)})"
            )
            raise UsageError(f"missing on this machine: {', '.join(missing)}", hint=advice)
        began = time.monotonic()
        step = "system packages"
        progress.step(step, " ".join(packages))
        waiting = "another run is installing; waiting"
        with exclusive(APT_LOCK, on_wait=lambda: progress.step(step, waiting)), _no_service_started(policy):
            _install(apt, packages, run)
        progress.done(step, time.monotonic() - began)
    paths = {name: find(name) for name in names}
    if still := [name for name, path in paths.items() if path is None]:
        raise RemoteError(
            f"{', '.join(packages_for(still))} installed, but {', '.join(still)} still missing from PATH",
            hint=f"PATH must include {SYSTEM_FOLDERS}",
        )
    return {name: path for name, path in paths.items() if path is not None}


@contextmanager
def _no_service_started(policy: Path) -> Iterator[None]:
    """HAProxy and Prometheus come with services of their own, on ports that this machine may have other uses for.

    A policy that the machine has already is left as it is.
    """
    try:
        with policy.open("x") as file:
            file.write("#!/bin/sh\nexit 101\n")
    except FileExistsError:
        yield
        return
    try:
        policy.chmod(0o755)
        yield
    finally:
        policy.unlink()


def _install(apt: str, packages: Sequence[str], run: Run) -> None:
    install = [apt, "install", "--yes", "--no-install-recommends", *packages]
    result = run(install)
    if result.returncode != 0:
        # Most often the package lists were never fetched, or are older than the packages on the mirror.
        run([apt, "update"])
        result = run(install)
    if result.returncode != 0:
        said = [line for line in result.stderr.splitlines() if line.startswith("E:")] or ["no reason given"]
        raise RemoteError(
            f"apt-get could not install {' '.join(packages)}: {said[0].removeprefix('E: ')}",
            hint="install them by hand, then run again",
        )
