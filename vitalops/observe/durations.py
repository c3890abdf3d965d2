"""Spans of time as people type and read them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from vitalops.errors import UsageError

_UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_WRITTEN: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(ms|s|m|h|d|w)")
_LONGEST: Final = timedelta(days=400)


def parse_duration(text: str, option: str) -> timedelta:
    """500ms, 45s, 15m, 2h, 7d or 1w. Raises UsageError, naming the option, for anything else."""
    match = _WRITTEN.fullmatch(text.strip())
    span = _UNITS[match[2]] * float(match[1]) if match else timedelta()
    if not timedelta() < span <= _LONGEST:
        raise UsageError(
            f"{option} {text[:40]!r} is no span of time", hint="give one such as 500ms, 45s, 15m, 2h or 7d"
        )
    return span


def shown(span: timedelta) -> str:
    """Three digits that matter: 0.42 ms, 52.1 ms, 1.25 s, 2 min 5 s."""
    milliseconds = span / timedelta(milliseconds=1)
    if milliseconds < 1000:
        return f"{milliseconds:.2f} ms" if milliseconds < 10 else f"{milliseconds:.1f} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.2f} s"
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    return f"{minutes} min {seconds} s"
