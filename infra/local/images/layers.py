"""Writes the tar files that become OCI layers: without privileges, and the same for the same input."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

_SETID: Final = stat.S_ISUID | stat.S_ISGID
_CHUNK: Final = 1 << 20


def pattern_of(patterns: Sequence[str]) -> re.Pattern[str]:
    """One expression for shell patterns, in which `*` also matches slashes."""
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns) or r"\Z.")


def filter_debian(
    source: Path, target: Path, unwanted: Sequence[str], parent: Path | None, *, mtime: int
) -> int:
    """Copy a root file system's tar without what is unwanted, and what `parent` (a mounted root) has already.

    Set-user-id and set-group-id bits are taken off: nothing in an image may raise its privileges. Device files
    are left out: the runtime makes them. Returns the number of entries written.
    """
    skip = pattern_of(unwanted)
    written = 0
    with tarfile.open(source, "r:") as old, tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as new:
        for member in old:
            member.name = member.name.removeprefix("./").rstrip("/")
            if member.name in ("", ".") or skip.match(member.name) or member.isdev():
                continue
            if not member.isdir():
                member.mode &= ~_SETID
            member.mtime = mtime
            member.uname = member.gname = ""
            member.pax_headers = {}
            if member.islnk():
                member.linkname = member.linkname.removeprefix("./")
            if parent is not None and _has(parent, member, old):
                continue
            body = old.extractfile(member) if member.isreg() else None
            new.addfile(member, body)
            written += 1
    return written


def _has(parent: Path, member: tarfile.TarInfo, archive: tarfile.TarFile) -> bool:
    """Whether `parent` has the entry with the same kind, owner, permissions and content."""
    path = parent / member.name
    try:
        there = path.lstat()
    except OSError:
        return False
    if member.islnk():
        # A hard link's target comes earlier in the archive; where the parent has both, it has them linked.
        return True
    same_kind = stat.S_IFMT(there.st_mode) == _kind(member)
    if not same_kind or (there.st_uid, there.st_gid) != (member.uid, member.gid):
        return False
    if member.issym():
        return os.readlink(path) == member.linkname
    if stat.S_IMODE(there.st_mode) & ~_SETID != member.mode & ~_SETID:
        return False
    if member.isdir():
        return True
    return there.st_size == member.size and _same_content(path, member, archive)


def _kind(member: tarfile.TarInfo) -> int:
    if member.isdir():
        return stat.S_IFDIR
    return stat.S_IFLNK if member.issym() else stat.S_IFREG


def _same_content(path: Path, member: tarfile.TarInfo, archive: tarfile.TarFile) -> bool:
    body = archive.extractfile(member)
    assert body is not None
    with path.open("rb") as there:
        while chunk := body.read(_CHUNK):
            if there.read(_CHUNK) != chunk:
                return False
    return True


def pack_tree(root: Path, files: Iterable[Path], target: Path, prefix: str, *, mtime: int) -> None:
    """A tar of `files` (below `root`) under `prefix`: owned by root, readable by all, executable as they are."""
    folders: set[Path] = set()
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:

        def add_folder(path: Path) -> None:
            if path in folders or path == Path("."):
                return
            add_folder(path.parent)
            folders.add(path)
            entry = tarfile.TarInfo(str(path))
            entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, mtime
            archive.addfile(entry)

        add_folder(Path(prefix.strip("/")))
        for path in files:
            name = Path(prefix.strip("/")) / path.relative_to(root)
            add_folder(name.parent)
            entry = tarfile.TarInfo(str(name))
            entry.mtime = mtime
            if path.is_symlink():
                entry.type, entry.linkname = tarfile.SYMTYPE, os.readlink(path)
                archive.addfile(entry)
                continue
            found = path.stat()
            entry.size = found.st_size
            entry.mode = 0o755 if found.st_mode & stat.S_IXUSR else 0o644
            with path.open("rb") as body:
                archive.addfile(entry, body)
