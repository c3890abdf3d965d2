"""Printing results: text for people, JSON for programs, from the same data."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any, Literal, TextIO, TypeVar, cast

from cli import context

T = TypeVar("T")
Colour = Literal["red", "green", "yellow", "blue", "dim", "bold"]
_CODES: Mapping[Colour, str] = {
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "dim": "2",
    "bold": "1",
}


def emit(data: T, render_text: Callable[[T], str]) -> None:
    """Print a command's result on stdout: `render_text(data)`, or `data` as JSON under `--output json`.

    `data` may hold dataclasses, pydantic models, mappings, sequences, sets, enums, dates (ISO 8601),
    durations (seconds) and paths.
    """
    if context.current().output == "json":
        print(json.dumps(jsonable(data), indent=2, ensure_ascii=False))
        return
    text = render_text(data)
    if text:
        print(text)


def jsonable(value: object) -> Any:
    """`value` in the types that JSON has. Raises TypeError for what has no evident JSON form."""
    match value:
        case Enum():
            return jsonable(value.value)
        case None | bool() | int() | float() | str():
            return value
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case PurePath():
            return str(value)
        case Mapping():
            mapping = cast(Mapping[object, object], value)
            return {str(jsonable(key)): jsonable(item) for key, item in mapping.items()}
        case set() | frozenset():
            return sorted((jsonable(item) for item in cast(Iterable[object], value)), key=str)
        case list() | tuple():
            return [jsonable(item) for item in cast(Iterable[object], value)]
        case _:
            pass
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no JSON form")


def colours(stream: TextIO) -> bool:
    """Whether `stream` gets colours: https://no-color.org, FORCE_COLOR, and only a terminal otherwise."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: Colour, stream: TextIO | None = None) -> str:
    """`text` in `colour` where the stream (stdout when not given) takes colours."""
    if not colours(stream or sys.stdout):
        return text
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m"


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Left-aligned columns, two spaces apart, under upper-case headers. Cells must hold no colour codes."""
    lines = [[header.upper() for header in headers], *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
