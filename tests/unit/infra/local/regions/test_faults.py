"""The rules of a fault, as the kernel gets them."""

from __future__ import annotations

import os
import signal
import subprocess
from datetime import date
from pathlib import Path

import pytest

from infra.local.regions.faults import Flow, between, rules, stopped, to_machine
from infra.local.regions.layout import layout
from vitalops.model.loader import load_platform
from vitalops.paths import Paths


def chain(*flows: Flow) -> list[str]:
    return [line.strip() for line in rules("t", flows).splitlines()[3:-2]]


def test_a_cut_drops_both_directions_and_nothing_else() -> None:
    assert chain(Flow("region1", "region2")) == [
        'iifname "region1" oifname "region2" drop',
        'iifname "region2" oifname "region1" drop',
    ]


def test_ports_are_those_of_the_server_at_either_end() -> None:
    lines = chain(Flow("host", "region1", (30444, 6443), 40))
    assert (
        lines[0]
        == 'iifname "host" oifname "region1" tcp dport { 30444, 6443 } numgen random mod 100 < 40 drop'
    )
    assert lines[1].split("tcp ")[1].startswith("sport")
    assert len(lines) == 4


def test_links_are_named_by_the_regions(root: Path) -> None:
    platform = load_platform(root / "platform.yaml", date(2026, 11, 1))
    paths = Paths(Path("/c"), Path("/s"), Path("/r"))
    one, other = (layout(platform, name, paths) for name in ("fr-par", "fr-gra"))
    assert between(one, other) == Flow("region1", "region2")
    assert to_machine(other, (30443,)) == Flow("host", "region2", (30443,))


def test_stopped_processes_go_on_also_after_an_error() -> None:
    child = subprocess.Popen(["sleep", "30"])
    try:
        _stand_still_and_fail(child.pid)
        os.waitid(os.P_PID, child.pid, os.WCONTINUED)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()


def _stand_still_and_fail(pid: int) -> None:
    def fail() -> None:
        with stopped([pid]):
            os.waitid(os.P_PID, pid, os.WSTOPPED)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
