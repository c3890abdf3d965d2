"""Plans of control groups: v1 and v2, the real root and a delegated one. v2 is tried on an imitation of its files."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from infra.local.regions.cgroups import (
    CopyIfEmpty,
    Hierarchies,
    Make,
    Mount,
    MoveProcesses,
    RootState,
    Write,
    apply,
    parse_mounts,
    plan,
    working_set,
)
from vitalops.errors import UsageError

V1_HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime shared:9 - cgroup cgroup rw,cpuset
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
42 23 0:39 / /proc rw - proc proc rw
"""
V2 = "30 23 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
ALL = frozenset({"cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc"})


def test_hybrid_counts_as_v1() -> None:
    found = parse_mounts(V1_HYBRID)
    assert found.version == 1
    assert [mount.point.name for mount in found.mounts] == [
        "cpu,cpuacct",
        "cpuset",
        "memory",
        "systemd",
        "unified",
    ]
    assert found.memory("region") == Path("/sys/fs/cgroup/memory/region")


def test_v2_alone_is_v2() -> None:
    found = parse_mounts(V2)
    assert found.version == 2
    assert found.roots("region") == (Path("/sys/fs/cgroup/region"),)
    assert found.memory("region") == Path("/sys/fs/cgroup/region")
    assert found.joins("region") == (Path("/sys/fs/cgroup/region/system/cgroup.procs"),)


def test_v1_makes_the_groups_in_every_tree_and_fills_cpusets_from_the_top() -> None:
    actions = plan(parse_mounts(V1_HYBRID), "region", None)
    made = [action.folder for action in actions if isinstance(action, Make)]
    assert len(made) == 5 * 3
    assert Path("/sys/fs/cgroup/systemd/region/pods") in made
    assert Path("/sys/fs/cgroup/unified/region/system") in made
    copies = [action for action in actions if isinstance(action, CopyIfEmpty)]
    assert len(copies) == 3 * 2
    cpuset = Path("/sys/fs/cgroup/cpuset")
    assert copies[0] == CopyIfEmpty(cpuset / "cpuset.cpus", cpuset / "region/cpuset.cpus")
    # A child can only get what its parent has already.
    order = [copy.file.parent for copy in copies]
    assert order.index(cpuset / "region") < order.index(cpuset / "region/system")


def test_v2_enables_controllers_from_the_root_down_and_keeps_processes_in_a_leaf() -> None:
    root = RootState(real=True, controllers=ALL, enabled=frozenset({"memory", "pids"}))
    actions = plan(parse_mounts(V2), "region", root)
    top = Path("/sys/fs/cgroup/region")
    assert actions[0] == Write(Path("/sys/fs/cgroup/cgroup.subtree_control"), "+cpuset +cpu +io +hugetlb")
    assert not any(isinstance(action, MoveProcesses) for action in actions)
    everything = "+cpuset +cpu +io +memory +hugetlb +pids"
    assert actions.index(Make(top)) < actions.index(Write(top / "cgroup.subtree_control", everything))
    assert actions.index(Write(top / "cgroup.subtree_control", everything)) < actions.index(
        Make(top / "pods")
    )
    assert Write(top / "pods/cgroup.subtree_control", everything) in actions
    # `system` holds processes, so it must not hand controllers on.
    assert not any(isinstance(a, Write) and a.file.parent == top / "system" for a in actions)


def test_v2_empties_a_root_that_is_not_the_real_one_before_it_hands_controllers_on() -> None:
    root = RootState(real=False, controllers=ALL, enabled=frozenset())
    actions = plan(parse_mounts(V2), "region", root)
    point = Path("/sys/fs/cgroup")
    assert actions[0] == Make(point / "vitalops-init")
    assert actions[1] == MoveProcesses(point, point / "vitalops-init")
    assert isinstance(actions[2], Write)
    assert actions[2].file == point / "cgroup.subtree_control"


def test_v2_leaves_a_root_alone_that_hands_on_what_is_needed() -> None:
    actions = plan(parse_mounts(V2), "region", RootState(real=False, controllers=ALL, enabled=ALL))
    assert actions[0] == Make(Path("/sys/fs/cgroup/region"))


def test_v2_asks_for_no_controller_that_the_kernel_lacks() -> None:
    root = RootState(real=True, controllers=frozenset({"memory", "pids"}), enabled=frozenset())
    written = [action.text for action in plan(parse_mounts(V2), "region", root) if isinstance(action, Write)]
    assert set(written) == {"+memory +pids"}


def test_actions_may_be_repeated(tmp_path: Path) -> None:
    point = tmp_path / "cpuset"
    point.mkdir()
    (point / "cpuset.cpus").write_text("0-1\n")
    (point / "cpuset.mems").write_text("0\n")
    found = Hierarchies((Mount(point, 1, frozenset({"cpuset"})),))
    for folder in ("region", "region/system", "region/pods"):
        (point / folder).mkdir()
        for name in ("cpuset.cpus", "cpuset.mems"):
            (point / folder / name).write_text("\n")  # the kernel makes these with the folder
    apply(plan(found, "region", None))
    (point / "region/cpuset.cpus").write_text("1\n")
    apply(plan(found, "region", None))
    assert (point / "region/cpuset.cpus").read_text() == "1\n"
    assert (point / "region/pods/cpuset.mems").read_text() == "0\n"


@pytest.mark.parametrize(
    ("stat", "expected"),
    [
        ("cache 10\ninactive_file 5\ntotal_inactive_file 30\n", 70),
        ("anon 50\ninactive_file 40\n", 60),
        ("anon 50\n", 100),
        ("inactive_file 400\n", 0),
    ],
)
def test_working_set(stat: str, expected: int) -> None:
    assert working_set(stat, 100) == expected


def test_where_control_groups_cannot_be_made_it_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, **_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UsageError, match="Read-only file system"):
        apply([Make(Path("/sys/fs/cgroup/region"))])


def test_v2_actions_write_what_is_planned(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text("")
    root = RootState(real=False, controllers=frozenset({"memory"}), enabled=frozenset())
    apply(plan(Hierarchies((Mount(tmp_path, 2),)), "region", root))
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"
    assert (tmp_path / "region/pods/cgroup.subtree_control").read_text() == "+memory"
    assert (tmp_path / "region/system").is_dir()
    assert not (tmp_path / "region/system/cgroup.subtree_control").exists()
