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
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import IO, Protocol
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
            url = next(iter(urls))
            archive = target / ".archive"
            self._verified(group, group.download, architecture, group.tools[0], url, archive, progress)
            with tarfile.open(archive) as tar:
                for tool in group.tools:
                    member = _fill(group.download.member, group, architecture, tool)
                    _extract(tar, member, target / tool)
            archive.unlink()
        else:
            for tool in group.tools:
                url = _fill(group.download.url, group, architecture, tool)
                self._verified(group, group.download, architecture, tool, url, target / tool, progress)
        for tool in group.tools:
            (target / tool).chmod(0o755)

    def _verified(
        self,
        group: Group,
        source: Download,
        architecture: str,
        tool: str,
        url: str,
        path: Path,
        progress: Progress,
    ) -> None:
        file_name = url.rsplit("/", 1)[-1]
        checksums = _fill(source.checksums, group, architecture, tool)
        with self._reach(checksums) as reply:
            expected = published_checksum(reply.read(READ_BYTES).decode("ascii", "replace"), file_name)
        if expected is None:
            raise NotAvailable
        progress.step(f"{group.name} {group.version}", f"downloading {file_name}")
        digest = hashlib.sha256()
        with self._reach(url) as reply, path.open("wb") as out:
            try:
                while block := reply.read(READ_BYTES):
                    digest.update(block)
                    out.write(block)
            except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
                raise NotAvailable from error
        if digest.hexdigest() != expected:
            path.unlink()
            raise RemoteError(
                f"{url} has SHA-256 {digest.hexdigest()[:16]}…, its release publishes {expected[:16]}…",
                hint="something between here and there changes files; VITALOPS_DOWNLOADS=off builds it instead",
            )

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
    return template.format(version=group.version, arch=architecture, tool=tool)


def _extract(tar: tarfile.TarFile, member: str, path: Path) -> None:
    source: IO[bytes] | None
    for name in (member, f"./{member}"):
        try:
            source = tar.extractfile(name)
        except KeyError:
            continue
        if source is not None:
            with source, path.open("wb") as out:
                shutil.copyfileobj(source, out)
            return
    raise NotAvailable
