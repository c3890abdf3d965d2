"""How a log line is printed for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from cli.output import Colour, paint
from vitalops.observe.logs import LogLine

_COLOURS: Final[Mapping[str, Colour]] = {
    "debug": "dim",
    "warning": "yellow",
    "error": "red",
    "critical": "red",
}
_MESSAGES: Final = ("event", "msg", "message")
# What the columns in front say already, and what only programs need.
_HIDDEN: Final = frozenset(
    {
        "service",
        "region",
        "level",
        "severity",
        "timestamp",
        "ts",
        "time",
        "trace_id",
        "span_id",
        "logger",
        "caller",
    }
)
# A line may hold anything, and a terminal obeys control characters.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def one_line(line: LogLine, *, dated: bool, trace: bool) -> str:
    """Time (UTC), region, service, level and what the line says; its trace id at the end where `trace` asks for it."""
    moment = line.time.strftime("%Y-%m-%d %H:%M:%S." if dated else "%H:%M:%S.")
    head = f"{moment}{line.time.microsecond // 1000:03d} {line.region:<8} {line.service:<14}"
    level = f"{(line.level or '-').upper():<8}"
    colour = _COLOURS.get(line.level)
    said = printable(message(line))
    made = f"{paint(head, 'dim')} {paint(level, colour) if colour else level} {said}"
    if trace and (found := line.fields.get("trace_id")):
        made += " " + paint(f"trace={printable(str(found))}", "dim")
    return made


def message(line: LogLine) -> str:
    """A JSON line as its message and `key=value` of the rest; any other line as it is."""
    if not line.text.startswith("{") or len(line.fields) < 2:
        return line.text
    key = next((key for key in _MESSAGES if isinstance(line.fields.get(key), str)), "")
    rest = (
        f"{name}={_value(value)}"
        for name, value in line.fields.items()
        if name != key and name not in _HIDDEN
    )
    return " ".join([*([str(line.fields[key])] if key else []), *rest]) or line.text


def printable(text: str) -> str:
    """Control characters as escapes: a log line must not move the cursor or hide another."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _value(value: Any) -> str:
    import json

    if isinstance(value, str):
        return value if value and not re.search(r"\s|=|\"", value) else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
