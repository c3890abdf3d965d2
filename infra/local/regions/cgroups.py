"""Control groups of a region, under cgroup v1 (one tree a controller) and v2 (one tree for all).

    vitalops-<region>/          memory of the whole region is read here
    ├── system/                 etcd, API server, containerd, kubelet ... and whatever they start
    └── pods/                   the kubelet's root: one group a pod below it

`system` is a leaf of its own because cgroup v2 lets no group have both processes and controlled children.
Planning is pure; `apply`, `processes` and `remove` act.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vitalops.errors import UsageError

SYSTEM = "system"
PODS = "pods"
ROOT_LEAF = "vitalops-init"
"""Where the root's processes go if the root of a cgroup v2 tree is not the machine's real root."""
V2_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")
CPUSET_FILES = ("cpuset.cpus", "cpuset.mems")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted hierarchy."""

    point: Path
    version: int
    controllers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Write:
    """Text to put into a kernel file."""

    file: Path
    text: str


@dataclass(frozen=True, slots=True)
class CopyIfEmpty:
    """A cpuset without cpus or mems takes no process: fill it from its parent's."""

    source: Path
    file: Path


@dataclass(frozen=True, slots=True)
class Make:
    folder: Path


@dataclass(frozen=True, slots=True)
class MoveProcesses:
    """Moves every process of one group into another."""

    source: Path
    target: Path


Action = Write | CopyIfEmpty | Make | MoveProcesses


@dataclass(frozen=True, slots=True)
class RootState:
    """What is found at the root of a cgroup v2 tree. `real` is false inside a container or a delegated tree."""

    real: bool
    controllers: frozenset[str]
    enabled: frozenset[str]


@dataclass(frozen=True, slots=True)
class Hierarchies:
    """The cgroup trees of this machine."""

    mounts: tuple[Mount, ...]

    @property
    def version(self) -> int:
        """2 only where everything is v2; the hybrid of v1 controllers beside an empty v2 tree counts as 1."""
        return 2 if all(mount.version == 2 for mount in self.mounts) else 1

    def roots(self, group: str) -> tuple[Path, ...]:
        return tuple(mount.point / group for mount in self.mounts)

    def joins(self, group: str) -> tuple[Path, ...]:
        """Files into which a process writes itself to become part of `system`."""
        return tuple(root / SYSTEM / "cgroup.procs" for root in self.roots(group))

    def memory(self, group: str) -> Path | None:
        """The group's folder in the tree that accounts for memory."""
        for mount in self.mounts:
            if self.version == 2 or "memory" in mount.controllers:
                return mount.point / group
        return None


def parse_mounts(mountinfo: str) -> Hierarchies:
    """From /proc/self/mountinfo (see proc(5)): the cgroup file systems, each once."""
    found: dict[Path, Mount] = {}
    for line in mountinfo.splitlines():
        left, separator, right = line.partition(" - ")
        if not separator:
            continue
        kind, _, super_options = right.split(" ", 2)
        point = Path(left.split(" ")[4])
        if kind == "cgroup2":
            found[point] = Mount(point, 2)
        elif kind == "cgroup":
            found[point] = Mount(point, 1, frozenset(super_options.split(",")))
    return Hierarchies(tuple(found.values()))


def plan(hierarchies: Hierarchies, group: str, root: RootState | None) -> tuple[Action, ...]:
    """What makes the region's groups; every action may be repeated. `root` is needed where all is v2."""
    if hierarchies.version == 2:
        assert root is not None
        return _plan_v2(hierarchies.mounts[0].point, group, root)
    actions: list[Action] = []
    for mount in hierarchies.mounts:
        top = mount.point / group
        for folder in (top, top / SYSTEM, top / PODS):
            actions.append(Make(folder))
            if "cpuset" in mount.controllers:
                actions += [CopyIfEmpty(folder.parent / name, folder / name) for name in CPUSET_FILES]
    return tuple(actions)


def _plan_v2(point: Path, group: str, root: RootState) -> tuple[Action, ...]:
    wanted = [controller for controller in V2_CONTROLLERS if controller in root.controllers]
    everything = " ".join(f"+{controller}" for controller in wanted)
    actions: list[Action] = []
    missing = [controller for controller in wanted if controller not in root.enabled]
    if missing:
        if not root.real:
            # Only the real root may have processes beside controlled children ("no internal processes").
            actions += [Make(point / ROOT_LEAF), MoveProcesses(point, point / ROOT_LEAF)]
        actions.append(
            Write(point / "cgroup.subtree_control", " ".join(f"+{controller}" for controller in missing))
        )
    top = point / group
    actions += [
        Make(top),
        Write(top / "cgroup.subtree_control", everything),
        Make(top / SYSTEM),
        Make(top / PODS),
        # The kubelet reads the controllers it may use from its root and hands them on itself.
        Write(top / PODS / "cgroup.subtree_control", everything),
    ]
    return tuple(actions)


def working_set(stat: str, usage: int) -> int:
    """Bytes in use that the kernel cannot simply drop: usage less inactive file pages, as the kubelet counts."""
    for name in ("total_inactive_file", "inactive_file"):
        for line in stat.splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return max(usage - int(value), 0)
    return usage


# From here on: effects.


def hierarchies() -> Hierarchies:
    return parse_mounts(Path("/proc/self/mountinfo").read_text())


def root_state(found: Hierarchies) -> RootState | None:
    if found.version != 2:
        return None
    point = found.mounts[0].point
    return RootState(
        # cgroups(7): cgroup.type is in every group but the root of the whole tree.
        real=not (point / "cgroup.type").exists(),
        controllers=frozenset((point / "cgroup.controllers").read_text().split()),
        enabled=frozenset((point / "cgroup.subtree_control").read_text().split()),
    )


def apply(actions: Iterable[Action]) -> None:
    """Raises UsageError where this process may not make control groups, as in most containers."""
    try:
        _apply(actions)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        raise UsageError(
            f"control groups cannot be made here: {error.filename}: {error.strerror}",
            hint="run on the machine itself, or in a privileged container with a control group tree of its own",
        ) from None


def _apply(actions: Iterable[Action]) -> None:
    for action in actions:
        match action:
            case Make(folder):
                folder.mkdir(exist_ok=True)
            case Write(file, text):
                file.write_text(text)
            case CopyIfEmpty(source, file):
                if not file.read_text().strip():
                    file.write_text(source.read_text())
            case MoveProcesses(source, target):
                for pid in _members(source):
                    _move(pid, target)


def _move(pid: int, target: Path) -> None:
    try:
        (target / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        # ESRCH: it ended meanwhile. EINVAL: a kernel thread, which stays.
        if error.errno not in (errno.ESRCH, errno.EINVAL):
            raise


def _members(folder: Path) -> list[int]:
    try:
        return [int(line) for line in (folder / "cgroup.procs").read_text().split()]
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP):
            return []
        raise


def processes(found: Hierarchies, group: str, part: str = "") -> set[int]:
    """Every process in the group (or in its `system` or `pods`) and below, in any hierarchy."""
    pids: set[int] = set()
    for root in found.roots(group):
        for folder, _, _ in os.walk(root / part):
            pids.update(_members(Path(folder)))
    return pids


def remove(found: Hierarchies, group: str, *, seconds: float = 5.0) -> None:
    """Removes the group with all below it, in every hierarchy. Its processes must be dead."""
    deadline = time.monotonic() + seconds
    for root in found.roots(group):
        for folder, _, _ in os.walk(root, topdown=False):
            while True:
                try:
                    os.rmdir(folder)
                except FileNotFoundError:
                    break
                except OSError as error:
                    if error.errno != errno.EBUSY or time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)
                    continue
                break


def memory_bytes(found: Hierarchies, group: str) -> int | None:
    """The region's working set; None where the group is not there."""
    folder = found.memory(group)
    if folder is None:
        return None
    try:
        name = "memory.current" if found.version == 2 else "memory.usage_in_bytes"
        return working_set((folder / "memory.stat").read_text(), int((folder / name).read_text()))
    except OSError:
        return None
