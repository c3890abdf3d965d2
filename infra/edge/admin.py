"""HAProxy's runtime API: one command a connection, on the admin socket of a running process."""

from __future__ import annotations

import csv
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vitalops.errors import RemoteError

_SECONDS: Final = 3.0


def ask(path: Path, command: str) -> str:
    """The answer to one command. Raises RemoteError where nobody answers."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_SECONDS)
            connection.connect(str(path))
            connection.sendall(f"{command}\n".encode())
            received = b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError as error:
        raise RemoteError(
            f"HAProxy does not answer at {path}: {error.strerror or error}", hint="run: vitalops up"
        ) from error
    return received.decode().strip()


def map_entries(path: Path, file: Path) -> dict[str, str]:
    """Keys and values that the running process has for a map. Raises RemoteError where it knows no such map."""
    answer = ask(path, f"show map {file}")
    rows = [line.split(maxsplit=2) for line in answer.splitlines()]
    if any(not row[0].startswith("0x") for row in rows):
        raise RemoteError(f"HAProxy has no map {file}: {answer.splitlines()[0]}", hint="run: vitalops up")
    return {row[1]: row[2] if len(row) > 2 else "" for row in rows if len(row) > 1}


def set_map(path: Path, file: Path, key: str, value: str) -> None:
    """Raises RemoteError where the process refuses."""
    if answer := ask(path, f"set map {file} {key} {value}"):
        raise RemoteError(f"HAProxy refuses to set {key} in {file}: {answer.splitlines()[0]}")


def last_checks(path: Path) -> dict[str, bool]:
    """Whether the latest health check of each backend's server passed; without those not checked yet.

    Not whether HAProxy calls the server down, which takes several checks: who watches counts for itself.
    """
    lines = ask(path, "show stat").removeprefix("# ").splitlines()
    return dict(_checked(csv.DictReader(lines)))


def _checked(rows: csv.DictReader[str]) -> Iterator[tuple[str, bool]]:
    for row in rows:
        # `* ` goes before the last result while the next check runs.
        result = row["check_status"].removeprefix("* ")
        if result not in ("", "INI"):
            yield row["pxname"], result in ("L4OK", "L6OK", "L7OK")
