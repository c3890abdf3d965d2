"""Official releases, verified against the checksum file published with them.

A host that does not answer is remembered for the run, so that a machine without internet access loses a few seconds
once and not once a file. A wrong checksum is never a reason to fall back quietly: it raises.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from infra.local.toolchain.spec import Download, Group
from vitalops.errors import RemoteError
from vitalops.ports.progress import Progress

CONNECT_SECONDS = 4.0
READ_BYTES = 1 << 20


class Reply(Protocol):
    """The part of an HTTP reply that is used."""

    def read(self, amount: int = -1, /) -> bytes: ...
    def close(self) -> None: ...


def open_url(url: str) -> Reply:
    return urllib.request.urlopen(url, timeout=CONNECT_SECONDS)  # noqa: S310  # URLs of toolchain.toml


class NotAvailable(Exception):
    """The release cannot be had from here: build it instead."""


def published_checksum(listing: str, file_name: str) -> str | None:
    """SHA-256 of a file from a published list: `HASH  NAME` lines, or one bare hash."""
    for line in listing.splitlines():
        match line.split():
            case [digest] if len(digest) == 64:
                return digest.lower()
            case [digest, name] if name.removeprefix("*").rsplit("/", 1)[-1] == file_name:
                return digest.lower()
            case _:
                continue
    return None


class Downloader:
    """Fetches groups of tools; `open` is the transport. VITALOPS_DOWNLOADS=off leaves official releases out."""

    def __init__(self, open: Callable[[str], Reply] = open_url, *, enabled: bool | None = None) -> None:
        self._open = open
        self._enabled = os.environ.get("VITALOPS_DOWNLOADS", "on") != "off" if enabled is None else enabled
        self._unreachable: set[str] = set()

    def fetch(self, group: Group, architecture: str, target: Path, progress: Progress) -> None:
        """Puts the group's tools into `target`. Raises NotAvailable, or RemoteError for a checksum that differs."""
        if group.download is None or not self._enabled:
            raise NotAvailable
        urls = dict.fromkeys(_fill(group.download.url, group, architecture, tool) for tool in group.tools)
        if len(urls) == 1:
            self._from_archive(group, group.download, architecture, next(iter(urls)), target, progress)
        else:
            for tool in group.tools:
                url = _fill(group.download.url, group, architecture, tool)
                expected = published_checksum(
                    self._listing(group, group.download, architecture, tool), _name(url)
                )
                if expected is None:
                    raise NotAvailable
                path = target / tool
                _compare(url, self._save(group, url, path, progress), expected, path)
        for tool in group.tools:
            (target / tool).chmod(0o755)

    def _from_archive(
        self, group: Group, source: Download, architecture: str, url: str, target: Path, progress: Progress
    ) -> None:
        """Verified as a whole, or by its members where the release publishes the checksums of those."""
        listing = self._listing(group, source, architecture, group.tools[0])
        members = {tool: _fill(source.member, group, architecture, tool) for tool in group.tools}
        whole = published_checksum(listing, _name(url))
        each = {tool: published_checksum(listing, _name(member)) for tool, member in members.items()}
        if whole is None and None in each.values():
            raise NotAvailable
        archive = target / ".archive"
        actual = self._save(group, url, archive, progress)
        if whole is not None:
            _compare(url, actual, whole, archive)
        for tool, member in members.items():
            path = target / tool
            _extract(archive, url, member, path)
            if whole is None:
                _compare(f"{member} of {url}", _digest(path), each[tool], path)
        archive.unlink()

    def _listing(self, group: Group, source: Download, architecture: str, tool: str) -> str:
        with self._reach(_fill(source.checksums, group, architecture, tool)) as reply:
            return reply.read(READ_BYTES).decode("ascii", "replace")

    def _save(self, group: Group, url: str, path: Path, progress: Progress) -> str:
        """The content at `url` in `path`; its SHA-256."""
        progress.step(f"{group.name} {group.version}", f"downloading {_name(url)}")
        digest = hashlib.sha256()
        with self._reach(url) as reply, path.open("wb") as out:
            try:
                while block := reply.read(READ_BYTES):
                    digest.update(block)
                    out.write(block)
            except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
                raise NotAvailable from error
        return digest.hexdigest()

    def _reach(self, url: str) -> _Closing:
        host = urlsplit(url).netloc
        if host in self._unreachable:
            raise NotAvailable
        try:
            return _Closing(self._open(url))
        except (urllib.error.HTTPError, HTTPException) as error:
            raise NotAvailable from error
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            self._unreachable.add(host)
            raise NotAvailable from error


class _Closing:
    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def __enter__(self) -> Reply:
        return self._reply

    def __exit__(self, *_: object) -> None:
        self._reply.close()


def _fill(template: str, group: Group, architecture: str, tool: str) -> str:
    machine = "x86_64" if architecture == "amd64" else architecture
    return template.format(version=group.version, arch=architecture, machine=machine, tool=tool)


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _compare(what: str, actual: str, expected: str | None, path: Path) -> None:
    """Raises RemoteError, and removes the file, where it is not what the release publishes."""
    if actual != expected:
        path.unlink()
        raise RemoteError(
            f"{what} has SHA-256 {actual[:16]}…, its release publishes {(expected or '')[:16]}…",
            hint="something between here and there changes files; VITALOPS_DOWNLOADS=off builds it instead",
        )


def _extract(archive: Path, url: str, member: str, path: Path) -> None:
    if url.endswith(".zip"):
        with zipfile.ZipFile(archive) as packed:
            if member not in packed.namelist():
                raise NotAvailable
            with packed.open(member) as source, path.open("wb") as out:
                shutil.copyfileobj(source, out)
        return
    with tarfile.open(archive) as tar:
        for name in (member, f"./{member}"):
            try:
                found = tar.extractfile(name)
            except KeyError:
                continue
            if found is not None:
                with found, path.open("wb") as out:
                    shutil.copyfileobj(found, out)
                return
    raise NotAvailable
