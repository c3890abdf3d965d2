"""Which process is whose: names, digests, ids used again."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from infra.local.regions.programs import Program
from infra.local.regions.supervision import (
    ProcessFacts,
    boot_time,
    is_alive,
    parse_stat,
    read_process,
    recognise,
)

PROGRAMS = {
    "kubelet": Program("kubelet", ("/tools-1/kubelet", "--config=x")),
    "containerd": Program("containerd", ("/tools-1/containerd",)),
}
KUBELET = ProcessFacts(
    pid=77,
    state="S",
    started_ticks=1500,
    command=("/tools-0/kubelet", "--config=old"),
    environment={"VITALOPS_REGION": "west", "VITALOPS_PROCESS": "kubelet", "VITALOPS_DIGEST": "abc"},
)


def test_a_process_is_known_by_what_it_was_born_with() -> None:
    known = recognise("west", KUBELET, PROGRAMS, boot=1000.0, tick=100)
    assert known is not None
    assert (known.name, known.pid, known.digest, known.started) == ("kubelet", 77, "abc", 1015.0)


@pytest.mark.parametrize(
    "facts",
    [
        replace(KUBELET, state="Z"),
        replace(KUBELET, command=()),
        replace(KUBELET, environment={}),
        replace(KUBELET, environment={**KUBELET.environment, "VITALOPS_REGION": "east"}),
        replace(KUBELET, environment={**KUBELET.environment, "VITALOPS_PROCESS": "unheard-of"}),
        # Before it becomes the program, and a helper that inherits the variables.
        replace(KUBELET, command=("nsenter", "--net=/run/netns/x", "/tools-0/kubelet")),
        replace(KUBELET, command=("/usr/bin/mount", "-t", "tmpfs")),
        # Its id is another process's now.
        replace(KUBELET, command=("/usr/bin/python3",), environment={"HOME": "/root"}),
    ],
)
def test_others_are_not_taken_for_it(facts: ProcessFacts) -> None:
    assert recognise("west", facts, PROGRAMS, boot=0.0, tick=100) is None


def test_a_shim_is_not_containerd() -> None:
    shim = replace(
        KUBELET,
        command=("/tools-0/containerd-shim-runc-v2", "-namespace", "k8s.io"),
        environment={**KUBELET.environment, "VITALOPS_PROCESS": "containerd"},
    )
    assert recognise("west", shim, PROGRAMS, boot=0.0, tick=100) is None


def test_digest_follows_arguments_environment_and_files(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("one")
    program = Program("p", ("/p", "-a"), {"A": "1"}, (file,))
    first = program.digest()
    assert program.digest() == first
    others = {
        replace(program, arguments=("/p", "-b")).digest(),
        replace(program, arguments=("/p-a",)).digest(),
        replace(program, environment={"A": "2"}).digest(),
    }
    file.write_text("two")
    others.add(program.digest())
    assert len(others) == 4
    assert first not in others


def test_stat_with_a_name_that_looks_like_fields() -> None:
    fields = " ".join(str(number) for number in range(4, 53))
    assert parse_stat(f"12 (a) S 1) R {fields}") == ("R", 22)


def test_a_live_process_is_read() -> None:
    facts = read_process(os.getpid())
    assert facts is not None
    assert facts.state in "RS"
    assert is_alive(os.getpid())


def test_a_dead_process_is_not_alive_before_it_is_reaped() -> None:
    process = subprocess.Popen(["true"])
    try:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(process.pid)
    finally:
        process.wait()
    assert read_process(process.pid) is None


def test_boot_time() -> None:
    assert boot_time("cpu 1 2\nbtime 1700000000\nprocesses 3\n") == 1700000000.0
