"""From a failed program's complaint to one line that says what happened, where, and what to do. Pure."""

from __future__ import annotations

import re
from pathlib import Path

from infra.local.images.runner import ToolFailed
from vitalops.errors import RemoteError

_DISK_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_UNSIGNED = re.compile(r"NO_PUBKEY|is not signed|Missing key|no valid OpenPGP|keyring", re.IGNORECASE)
_UNREACHABLE = re.compile(
    r"could(n't| not) (resolve|connect)|temporary failure resolving|connection (refused|timed out|failed)"
    r"|unable to connect|network is unreachable|failed to fetch|dns error|no route to host"
    r"|error sending request|does not have a Release file",
    re.IGNORECASE,
)
_HASH = re.compile(r"hash mismatch|hashes? .*do(es)? not match", re.IGNORECASE)
_NO_ACCESS = re.compile(r"unauthorized|authentication required|denied|forbidden", re.IGNORECASE)


def explain(failure: ToolFailed, step: str, folder: Path, *, remote: str) -> RemoteError:
    """`step` is what was being done, `folder` where it wrote, `remote` what it fetched from or sent to."""
    said = failure.said
    if _DISK_FULL.search(said):
        return disk_full(step, folder)
    tool = Path(failure.argv[0]).name
    if tool == "mmdebstrap" and _UNSIGNED.search(said):
        return RemoteError(
            f"{step}: this machine does not trust the Debian archive's keys",
            hint="install the current debian-archive-keyring package",
        )
    if _HASH.search(said):
        return RemoteError(
            f"{step}: a file from {remote} has another hash than uv.lock pins: {failure.message}"
        )
    if tool == "buildah" and remote and _NO_ACCESS.search(said):
        return RemoteError(
            f"{step}: {remote} refuses this user", hint=f"log in with `buildah login {remote}`"
        )
    if remote and _UNREACHABLE.search(said):
        return RemoteError(
            f"{step}: cannot reach {remote}: {failure.message}",
            hint="check the network and its proxy settings",
        )
    return RemoteError(f"{step}: {failure.message}")


def disk_full(step: str, folder: Path) -> RemoteError:
    return RemoteError(
        f"{step}: disk full at {folder}", hint="free about 4 GB there, or point VITALOPS_CACHE elsewhere"
    )
