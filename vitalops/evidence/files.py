"""The journal as a file: one line an entry, appended under a lock, on disk before anybody is told that it is.

Beside `journal.jsonl` lies `journal.head`, the number and digest of the last entry. It is written after the entry is
on disk, so it is never ahead of the file, whatever is interrupted; where it is ahead, the file's end was taken away.
The next entry then follows the head, and the gap stays to be found.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from vitalops.errors import UsageError, VitalopsError
from vitalops.evidence import chain
from vitalops.evidence.chain import START, Anchor, Fault, FaultKind
from vitalops.evidence.record import Entry, Record, RecordKind
from vitalops.evidence.screening import screen, values_of
from vitalops.ports.clock import Clock, SystemClock
from vitalops.secretstore.port import SecretStore

_BLOCK: Final = 64 * 1024
MOST_BYTES: Final = 256 * 1024
"""Of one record's data: outputs are figures and names, no dumps."""


class FileJournal:
    """Implements vitalops.evidence.record.Journal. Threads and processes may append at once."""

    def __init__(self, path: Path, *, clock: Clock | None = None, secrets: SecretStore | None = None) -> None:
        """`secrets`: records that hold a value of this store are refused."""
        self._path = path
        self._clock = clock or SystemClock()
        self._secrets = secrets

    @property
    def path(self) -> Path:
        return self._path

    @property
    def head_path(self) -> Path:
        return self._path.with_suffix(".head")

    def append(self, record: Record) -> Entry:
        (entry,) = self.extend((record,))
        return entry

    def extend(self, records: Sequence[Record]) -> list[Entry]:
        """Append several at the price of one: they are on disk when this returns, all of them.

        Raises UsageError where one of them must not be kept (none is written then), VitalopsError where they cannot be
        written.
        """
        if not records:
            return []
        known = values_of(self._secrets) if self._secrets is not None else ()
        for record in records:
            _require_small(record)
            screen(record, lambda: known)
        with self._told("written"), self._locked() as file:
            last, notes = self._mend(file)
            sealed = self._sealed(last, (*notes, *records))
            lines = b"".join(map(chain.line_of, sealed))
            file.seek(0, os.SEEK_END)
            began = file.tell()
            try:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                # A full disk takes half a line: nobody was told of it, so it goes again.
                os.ftruncate(file.fileno(), began)
                raise
            self._write_head(Anchor(sealed[-1].number, sealed[-1].digest))
        return sealed[len(notes) :]

    def entries(self) -> Iterator[Entry]:
        """A last line that does not end yet is left out: it is being written, or was cut off."""
        for number, line in enumerate(self.lines(), 1):
            if not line.endswith(b"\n"):
                return
            try:
                entry = chain.read_line(line)
            except (ValueError, RecursionError):
                raise VitalopsError(
                    f"{self._path}: line {number} cannot be read", hint="see: vitalops evidence verify"
                ) from None
            yield entry

    def latest(self, count: int) -> list[Entry]:
        """The last so many entries, latest first, at the price of reading those alone. Lines that cannot be read are
        left out: `verify` is who tells of them."""
        found: list[Entry] = []
        with self._told("read"):
            try:
                file = self._path.open("rb")
            except FileNotFoundError:
                return found
            with file:
                for line in _lines_from_end(file, self.size()):
                    if len(found) >= count:
                        break
                    with suppress(ValueError, RecursionError):
                        found.append(chain.read_line(line))
        return found

    def lines(self, size: int | None = None) -> Iterator[bytes]:
        """The file as it is, line by line, to its end or to `size` bytes; nothing where there is none."""
        with self._told("read"):
            try:
                file = self._path.open("rb")
            except FileNotFoundError:
                return
            with file:
                left = self.size() if size is None else size
                for line in file:
                    if left <= 0:
                        return
                    yield line[:left]
                    left -= len(line)

    def size(self) -> int:
        """In bytes."""
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def head(self) -> Anchor | None:
        """What the head says; None where there is none. Raises VitalopsError where it cannot be read."""
        try:
            return Anchor.parse(self.head_path.read_text(encoding="ascii"))
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            raise VitalopsError(f"{self.head_path}: {error}", hint="see: vitalops evidence verify") from None

    def verify(
        self, anchors: Iterable[Anchor] = (), each: chain.Counted = chain.uncounted
    ) -> tuple[int, list[Fault]]:
        """How many entries there are, and everything wrong with the journal; `anchors` were kept elsewhere."""
        unread: list[Fault] = []
        kept = list(anchors)
        size, head, problem = self._snapshot()
        if problem:
            unread.append(Fault(0, 0, FaultKind.HEAD, problem))
        elif head is not None:
            kept.append(head)
        elif size:
            unread.append(Fault(0, 0, FaultKind.HEAD, f"{self.head_path.name} is not there"))
        count, faults = chain.verify(self.lines(size), kept, each)
        return count, [*faults, *unread]

    def _snapshot(self) -> tuple[int, Anchor | None, str]:
        """Size, head and what is wrong with it, of one moment: nobody is appending then."""
        with self._told("read"):
            try:
                file = self._path.open("rb")
            except FileNotFoundError:
                file = None
            try:
                if file is not None:
                    fcntl.flock(file, fcntl.LOCK_SH)
                try:
                    return self.size(), self.head(), ""
                except VitalopsError as error:
                    return self.size(), None, error.message
            finally:
                if file is not None:
                    file.close()

    def _sealed(self, last: Anchor, records: Iterable[Record]) -> list[Entry]:
        number, previous, sealed = last.number, last.digest, list[Entry]()
        for record in records:
            number += 1
            entry = chain.seal(number, self._clock.now(), record, previous)
            previous = entry.digest
            sealed.append(entry)
        return sealed

    @contextmanager
    def _locked(self) -> Generator[BinaryIO]:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                # Somebody may have put another file in its place while this waited.
                if _same(file, self._path):
                    if os.fstat(file.fileno()).st_size == 0:
                        _flush_folder(self._path.parent)
                    yield file
                    return

    def _mend(self, file: BinaryIO) -> tuple[Anchor, tuple[Record, ...]]:
        """The entry to follow, and what is to be said of the damage that was found at the file's end."""
        try:
            head = self.head()
        except VitalopsError:
            head = None
        size = os.fstat(file.fileno()).st_size
        whole, tail = _last_line(file, size)
        last = _anchor(tail)
        notes: list[Record] = []
        if whole < size:
            if last is not None and head is not None and head.number > last.number:
                # It was on disk once, so it was not an append that was cut off: it stays as it is, to be found.
                file.seek(0, os.SEEK_END)
                file.write(b"\n")
            else:
                os.ftruncate(file.fileno(), whole)
                detail = "an append that was cut off has been removed"
                notes.append(_note(detail, {"removed_bytes": size - whole}))
        if last is None and head is None:
            raise VitalopsError(
                f"{self._path}: its end cannot be read, and {self.head_path.name} neither",
                hint="keep it aside as evidence; vitalops evidence verify says what is wrong",
            )
        if head is not None and (last is None or head.number >= last.number):
            if last is None or head != last:
                found = last.number if last is not None else 0
                notes.append(_note("its end is not as it was", {"kept": head.number, "found": found}))
            return head, tuple(notes)
        assert last is not None
        return last, tuple(notes)

    def _write_head(self, head: Anchor) -> None:
        # In place, one sector: a rename would cost another two writes.
        descriptor = os.open(self.head_path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            line = f"{head}\n".encode("ascii")
            os.pwrite(descriptor, line, 0)
            os.ftruncate(descriptor, len(line))
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _told(self, what: str) -> Generator[None]:
        try:
            yield
        except OSError as error:
            where = error.filename or self._path
            raise VitalopsError(f"the journal cannot be {what}: {where}: {error.strerror or error}") from None


def _require_small(record: Record) -> None:
    """Also that it is JSON: before it is screened, which takes time for each word."""
    try:
        size = len(chain.canonical(dict(record.data))) + len(record.reason)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{record.name}: {record.kind.value}: its data is not JSON: {error}") from None
    if size > MOST_BYTES:
        raise UsageError(
            f"{record.name}: {record.kind.value}: {size} bytes are too many for the journal",
            hint=f"at most {MOST_BYTES}",
        )


def _lines_from_end(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Whole lines with their line feeds, the last one first; bytes after the last line feed are left out."""
    position, rest, whole = size, b"", False
    while position > 0:
        step = min(_BLOCK, position)
        position -= step
        file.seek(position)
        *before, rest = reversed((file.read(step) + rest).split(b"\n"))
        for line in before:
            if whole:
                yield line + b"\n"
            whole = True
    if whole and size:
        yield rest + b"\n"


def _last_line(file: BinaryIO, size: int) -> tuple[int, bytes]:
    """Where the last whole line ends, and that line with its line feed; (0, nothing) where there is none."""
    position = size
    while position > 0:
        step = min(_BLOCK, position)
        position -= step
        file.seek(position)
        end = file.read(step).rfind(b"\n")
        if end >= 0:
            whole = position + end + 1
            return whole, next(_lines_from_end(file, whole))
    return 0, b""


def _anchor(line: bytes) -> Anchor | None:
    """What follows `line` builds on; None where it cannot be read."""
    if not line:
        return START
    try:
        entry = chain.read_line(line)
    except (ValueError, RecursionError):
        return None
    return Anchor(entry.number, entry.digest)


def _note(detail: str, data: dict[str, int]) -> Record:
    return Record(RecordKind.NOTE, "journal", "journal", "journal", reason=detail, data=data)


def _same(file: BinaryIO, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(file.fileno())
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
