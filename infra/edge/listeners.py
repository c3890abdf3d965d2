"""Who listens on a TCP port of this machine."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_LISTEN = "0A"


def listener_of(port: int, proc: Path = Path("/proc")) -> str:
    """`name (process 123)` of a listener that this user may see; empty where there is none."""
    inodes = _listening_inodes(port, proc)
    if not inodes:
        return ""
    for folder in proc.iterdir():
        if folder.name.isdigit() and _holds(folder, inodes):
            with suppress(OSError):
                return f"{(folder / 'comm').read_text().strip()} (process {folder.name})"
    return ""


def _listening_inodes(port: int, proc: Path) -> frozenset[str]:
    found: set[str] = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (proc / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return frozenset(found)


def _holds(folder: Path, inodes: frozenset[str]) -> bool:
    with suppress(OSError):
        for descriptor in (folder / "fd").iterdir():
            with suppress(OSError):
                if os.readlink(descriptor) in inodes:
                    return True
    return False
