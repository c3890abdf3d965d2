"""Writing PromQL: text, selectors and durations, safely quoted.

Grammar: https://prometheus.io/docs/prometheus/latest/querying/basics/ . Text from platform.yaml reaches expressions
through here only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")
_UNITS = ((604800, "w"), (86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_DURATION = re.compile(r"([1-9][0-9]{0,3})([smhdw])")


def quoted(text: str) -> str:
    """`text` in double quotes, as both PromQL (Go's string literals) and YAML read it."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def literal(text: str) -> str:
    """A regular expression (RE2) that matches `text` and nothing else."""
    return _SPECIAL.sub(r"\\\1", text)


def matcher(label: str, values: Sequence[str], *, equal: bool = True) -> str:
    """`label="value"`, or with several values `label=~"one|two"`; negated where not `equal`."""
    if len(values) == 1:
        return f"{label}{'=' if equal else '!='}{quoted(values[0])}"
    alternatives = "|".join(literal(value) for value in values)
    return f"{label}{'=~' if equal else '!~'}{quoted(alternatives)}"


def selector(metric: str, labels: Mapping[str, str] | None = None, *matchers: str) -> str:
    """A vector selector; `labels` are compared for equality, `matchers` are put in as they are."""
    inside = [f"{name}={quoted(value)}" for name, value in (labels or {}).items()]
    inside += matchers
    return f"{metric}{{{','.join(inside)}}}" if inside else metric


def duration(seconds: int) -> str:
    """Such as 90 -> `1m30s`. Raises ValueError below one second."""
    if seconds < 1:
        raise ValueError(f"{seconds} s is no duration of PromQL")
    parts: list[str] = []
    for size, unit in _UNITS[1:]:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def seconds_of(text: str) -> int:
    """Such as `6h` -> 21600: a number and one unit. Raises ValueError for anything else."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no duration such as 5m, 6h or 3d")
    return int(found[1]) * {unit: size for size, unit in _UNITS}[found[2]]


def number(value: float) -> str:
    """The shortest decimal that reads back as `value`, without an exponent."""
    text = repr(float(value))
    if "e" in text:
        text = f"{value:.20f}".rstrip("0")
    return text[:-2] if text.endswith(".0") else text.rstrip(".")
