"""Faults of local regions, for trials: power cuts, stopped processes, cuts and losses in the network between them.

Rules are put into the router's namespace alone, in a table of their own, and go when the fault ends or with the process
that made them (`clear` removes what a killed one left). Nothing outside the local regions is touched.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.local.regions import cgroups
from infra.local.regions.commands import inside, run
from infra.local.regions.layout import Layout
from infra.local.regions.network import ROUTER_HOST_LINK, WAN_FILE, router_link
from infra.local.regions.supervision import send, wait_gone
from infra.local.regions.teardown import processes_in_namespace
from vitalops.errors import RemoteError

TABLE: Final = "vitalops_fault"
POWER_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Flow:
    """Packets from one link of the router to another, in both directions.

    `ports`: TCP ports of the server at either end; all packets where empty. `lost`: percent that are dropped.
    """

    one: str
    other: str
    ports: tuple[int, ...] = ()
    lost: int = 100


def between(one: Layout, other: Layout, *, lost: int = 100) -> Flow:
    """The two regions of a pair."""
    return Flow(router_link(one), router_link(other), lost=lost)


def to_machine(region: Layout, ports: Sequence[int] = (), *, lost: int = 100) -> Flow:
    """A region and this machine, where the edge, the witness and the operator are."""
    return Flow(ROUTER_HOST_LINK, router_link(region), tuple(ports), lost)


def rules(table: str, flows: Iterable[Flow]) -> str:
    """nft input that drops the flows' packets."""
    lines: list[str] = []
    for flow in flows:
        chance = "" if flow.lost >= 100 else f"numgen random mod 100 < {flow.lost} "
        ports = f"{{ {', '.join(str(port) for port in flow.ports)} }} " if flow.ports else ""
        for source, target in ((flow.one, flow.other), (flow.other, flow.one)):
            way = f'iifname "{source}" oifname "{target}" '
            if not ports:
                lines.append(f"    {way}{chance}drop")
                continue
            lines += [f"    {way}tcp {end} {ports}{chance}drop" for end in ("dport", "sport")]
    chain = "    type filter hook forward priority filter; policy accept;"
    return "\n".join([f"table ip {table} {{", "  chain forward {", chain, *lines, "  }", "}", ""])


@contextmanager
def cut(*flows: Flow) -> Generator[None]:
    """The flows are cut, or lose packets, inside the block."""
    table = f"{TABLE}_{secrets.token_hex(4)}"
    run([*inside(WAN_FILE), "nft", "-f", "-"], text=rules(table, flows))
    try:
        yield
    finally:
        run([*inside(WAN_FILE), "nft", "delete", "table", "ip", table])


def clear() -> tuple[str, ...]:
    """Remove what a killed trial has left. Returns the tables' names."""
    if not WAN_FILE.exists():
        return ()
    listed = run([*inside(WAN_FILE), "nft", "list", "tables"]).split()
    left = tuple(name for name in listed if name.startswith(TABLE))
    for table in left:
        run([*inside(WAN_FILE), "nft", "delete", "table", "ip", table])
    return left


def members(region: Layout, names: Iterable[str] = (), proc: Path = Path("/proc")) -> set[int]:
    """The region's processes, pods included; those with a command of one of `names` where some are given."""
    everybody = cgroups.processes(cgroups.hierarchies(), region.cgroup)
    wanted = set(names)
    if not wanted:
        return everybody
    found: set[int] = set()
    for pid in everybody:
        try:
            if (proc / str(pid) / "comm").read_text().strip() in wanted:
                found.add(pid)
        except OSError:
            continue
    return found


@contextmanager
def stopped(pids: Iterable[int]) -> Generator[None]:
    """The processes stand still inside the block (SIGSTOP), and go on after it."""
    chosen = tuple(pids)
    try:
        send(chosen, signal.SIGSTOP)
        yield
    finally:
        send(chosen, signal.SIGCONT)


def kill(pids: Iterable[int]) -> None:
    """SIGKILL; whoever looks after them may start them again."""
    send(pids, signal.SIGKILL)


def power_cut(region: Layout) -> float:
    """Kill every process of the region at once. Returns when (seconds since the epoch).

    What was not on disk is lost, as in a power cut but for what the kernel still writes. Raises RemoteError where
    something does not die.
    """
    began = time.time()
    deadline = time.monotonic() + POWER_SECONDS
    own = os.getpid()
    while left := (members(region) | processes_in_namespace(region)) - {own}:
        if time.monotonic() > deadline:
            raise RemoteError(f"{region.name}: processes {sorted(left)} do not die")
        send(left, signal.SIGKILL)
        wait_gone(left, 0.2)
    return began
