"""Secrets as files that only their owner can read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from vitalops.errors import VitalopsError
from vitalops.secretstore.port import checked_name

_TEMPORARY_PREFIX = ".new-"


class FileSecretStore:
    """One file a secret (mode 0600) under `directory` (mode 0700).

    A value appears under its name complete and on disk, or not at all. Two processes that create the same
    secret at once both get the first one's value: the name is taken with link(2), which fails where the name
    exists, so no lock can be left behind by a killed process.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __repr__(self) -> str:
        return f"FileSecretStore({str(self._directory)!r})"

    def get(self, name: str) -> str | None:
        path = self._path(name)
        with _told(name, path):
            try:
                with path.open(encoding="utf-8", newline="") as file:
                    if os.fstat(file.fileno()).st_mode & 0o077:
                        raise VitalopsError(f"{path} can be read by others", hint=f"run: chmod 600 {path}")
                    return file.read()
            except FileNotFoundError:
                return None

    def get_or_create(self, name: str, make: Callable[[], str]) -> str:
        existing = self.get(name)
        if existing is not None:
            return existing
        value = make()
        path = self._path(name)
        with _told(name, path), self._written(path, value) as temporary:
            try:
                os.link(temporary, path)
            except FileExistsError:
                winner = self.get(name)
                assert winner is not None, "secrets are replaced, never removed"
                return winner
            _flush_directory(path.parent)
        return value

    def replace(self, name: str, value: str) -> None:
        path = self._path(name)
        with _told(name, path), self._written(path, value) as temporary:
            temporary.replace(path)
            _flush_directory(path.parent)

    def names(self) -> tuple[str, ...]:
        if not self._directory.is_dir():
            return ()
        files = (path for path in self._directory.rglob("*") if path.is_file())
        return tuple(
            sorted(
                path.relative_to(self._directory).as_posix()
                for path in files
                if not path.name.startswith(_TEMPORARY_PREFIX)
            )
        )

    def _path(self, name: str) -> Path:
        return self._directory / checked_name(name)

    @contextmanager
    def _written(self, path: Path, value: str) -> Generator[Path]:
        """A file beside `path` that holds `value` and is on disk; gone afterwards unless renamed."""
        for folder in (self._directory, path.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        descriptor, written = tempfile.mkstemp(prefix=_TEMPORARY_PREFIX, dir=path.parent)
        temporary = Path(written)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                file.write(value)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()


def _flush_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _told(name: str, path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise VitalopsError(f"secret {name}: {path}: {error.strerror or error}") from None
