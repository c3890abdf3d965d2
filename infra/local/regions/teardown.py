"""Taking a region down to nothing, from what the kernel shows of it: nothing that a starter remembered is needed."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path

from infra.local.regions import cgroups, kernel, network
from infra.local.regions.layout import Layout
from infra.local.regions.programs import CONTAINERD, ETCD, KUBELET, Program
from infra.local.regions.supervision import running, send, wait_gone
from vitalops.errors import RemoteError
from vitalops.model.addresses import WAN_NAMESPACE

MNT_DETACH = 2
POD_LINKS = Path("/var/log/containers")
GRACE_SECONDS = 5.0
"""For what runs in pods to end by itself: PostgreSQL then needs no recovery at the next start."""


def mounts_below(mountinfo: str, folders: Iterable[Path]) -> list[Path]:
    """Mount points in or below the folders, the deepest and latest first, from /proc/self/mountinfo."""
    prefixes = [str(folder) for folder in folders]
    found: list[Path] = []
    for line in mountinfo.splitlines():
        # proc(5): blanks, tabs, newlines and backslashes are written in octal.
        point = line.split(" ")[4].encode().decode("unicode_escape")
        if any(point == prefix or point.startswith(f"{prefix}/") for prefix in prefixes):
            found.append(Path(point))
    return found[::-1]


def unmount(folders: Iterable[Path]) -> None:
    """Unmounts everything below the folders, lazily: what still holds a file open must not hold up a stop."""
    libc = ctypes.CDLL(None, use_errno=True)
    for point in mounts_below(Path("/proc/self/mountinfo").read_text(), folders):
        if libc.umount2(os.fsencode(point), MNT_DETACH) != 0:
            number = ctypes.get_errno()
            if Path(point).is_mount():
                raise RemoteError(f"cannot unmount {point}: {os.strerror(number)}")


def processes_in_namespace(region: Layout, proc: Path = Path("/proc")) -> set[int]:
    """Processes whose network is the region's: also those outside its control group, such as a shell left open."""
    try:
        wanted = region.network_namespace_file.stat()
    except FileNotFoundError:
        return set()
    found: set[int] = set()
    for entry in proc.iterdir():
        if entry.name.isdigit():
            try:
                actual = (entry / "ns/net").stat()
            except OSError:
                continue
            if (actual.st_dev, actual.st_ino) == (wanted.st_dev, wanted.st_ino):
                found.add(int(entry.name))
    return found - {os.getpid()}


def end_processes(region: Layout, programs: dict[str, Program], found: cgroups.Hierarchies) -> None:
    """Ends every process: first the kubelet, lest it start things again, then pods and the rest."""
    alive = running(region, programs, found)
    keepers = [alive[name].pid for name in (KUBELET, CONTAINERD) if name in alive]
    send(keepers, signal.SIGKILL)
    pods = cgroups.processes(found, region.cgroup, cgroups.PODS)
    send(pods, signal.SIGTERM)
    wait_gone(pods, GRACE_SECONDS)
    if ETCD in alive:
        # It closes its database; nothing is lost without, but the next start is quicker.
        others = [process.pid for name, process in alive.items() if name != ETCD]
        send(others, signal.SIGKILL)
        wait_gone(others, 2.0)
        send([alive[ETCD].pid], signal.SIGTERM)
        wait_gone([alive[ETCD].pid], 3.0)
    left: set[int] = set()
    for _ in range(50):  # a process may fork between the look and the signal
        left = cgroups.processes(found, region.cgroup) | processes_in_namespace(region)
        if not left:
            return
        send(left, signal.SIGKILL)
        wait_gone(left, 0.2)
    raise RemoteError(f"{region.name}: processes {sorted(left)} do not die")


def remove_pod_links(region: Layout, folder: Path = POD_LINKS) -> None:
    """The kubelet's links to pods' logs, the one path of its that cannot be put elsewhere."""
    if not folder.is_dir():
        return
    for link in folder.iterdir():
        if link.is_symlink() and os.readlink(link).startswith(f"{region.pod_logs}/"):
            link.unlink(missing_ok=True)


def tear_down(region: Layout, programs: dict[str, Program]) -> None:
    """Ends and removes all of the region but its state. Does nothing where nothing is left."""
    found = cgroups.hierarchies()
    end_processes(region, programs, found)
    unmount(region.mounted_folders)
    cgroups.remove(found, region.cgroup)
    network.remove(region)
    kernel.restore()
    if not network.exists(WAN_NAMESPACE):
        kernel.forget()
    remove_pod_links(region)
    # A volume may be mounted below here: deleting through a mount that is left would delete its data.
    _refuse_mounts(region)
    shutil.rmtree(region.run, ignore_errors=True)
    shutil.rmtree(region.kubelet / "pods", ignore_errors=True)


def purge(region: Layout) -> None:
    """Deletes the region's state: certificates, etcd, volumes, images, logs. Only after `tear_down`."""
    _refuse_mounts(region)
    shutil.rmtree(region.state, ignore_errors=True)
    if region.state.exists():
        raise RemoteError(f"{region.state} cannot be deleted completely")


def _refuse_mounts(region: Layout) -> None:
    left = mounts_below(Path("/proc/self/mountinfo").read_text(), region.mounted_folders)
    if left:
        raise RemoteError(
            f"{region.name}: {left[0]} is still mounted; nothing was deleted",
            hint=f"umount {left[0]}, then run again",
        )
