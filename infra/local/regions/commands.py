"""Running the system's own programs (ip, nft, nsenter), with their complaint as the error."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from vitalops.errors import RemoteError


def run(command: Sequence[str], *, text: str | None = None) -> str:
    """Standard output. Raises RemoteError with the program's last line where it fails."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, input=text)
    except FileNotFoundError:
        raise RemoteError(f"{command[0]} is not on PATH", hint="install it, then run again") from None
    if result.returncode != 0:
        said = (result.stderr.strip() or result.stdout.strip()).splitlines() or [
            f"exit status {result.returncode}"
        ]
        raise RemoteError(f"`{' '.join(command)}` failed: {said[-1]}")
    return result.stdout


def succeeds(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def inside(namespace: Path) -> list[str]:
    """Prefix that runs a command in a network namespace. `ip netns exec` would remount /sys and hide the cgroups."""
    return ["nsenter", f"--net={namespace}"]
