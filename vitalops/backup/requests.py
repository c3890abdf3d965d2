"""Backups asked for by an operation: files that the command leaves and the loop picks up, in the pod's own spool.

The command may be cut off at any time: the backup goes on, and whoever asks again with the same mark is told of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

REQUESTS: Final = "requests"
RESULTS: Final = "results"
KEPT: Final = 20
"""Results that are kept."""


@dataclass(frozen=True, slots=True)
class Request:
    mark: str
    """Names the request: of two with the same mark, one is done."""
    kind: str


@dataclass(frozen=True, slots=True)
class Result:
    mark: str
    ok: bool
    problem: str
    seconds: float


class Inbox:
    """Requests and results under `folder`, one file each."""

    def __init__(self, folder: Path) -> None:
        self._requests, self._results = folder / REQUESTS, folder / RESULTS

    def ask(self, request: Request) -> None:
        """Leave a request; an answer to an earlier one with this mark that failed is forgotten."""
        answered = self.result(request.mark)
        if answered is not None and answered.ok:
            return
        self._file(self._results, request.mark).unlink(missing_ok=True)
        _write(self._file(self._requests, request.mark), asdict(request))

    def next(self) -> Request | None:
        """The oldest request, which stays until it is answered."""
        if not self._requests.is_dir():
            return None
        for path in sorted(self._requests.glob("*.json"), key=lambda path: path.stat().st_mtime):
            try:
                return Request(**json.loads(path.read_text()))
            except (ValueError, TypeError):
                path.unlink(missing_ok=True)
        return None

    def answer(self, result: Result) -> None:
        _write(self._file(self._results, result.mark), asdict(result))
        self._file(self._requests, result.mark).unlink(missing_ok=True)
        old = sorted(self._results.glob("*.json"), key=lambda path: path.stat().st_mtime)[:-KEPT]
        for path in old:
            path.unlink(missing_ok=True)

    def result(self, mark: str) -> Result | None:
        try:
            return Result(**json.loads(self._file(self._results, mark).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def _file(self, folder: Path, mark: str) -> Path:
        # A mark is a run's name: hexadecimal digits and hyphens; anything else must not name a path.
        safe = "".join(character if character.isalnum() or character == "-" else "_" for character in mark)
        return folder / f"{safe}.json"


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
