"""Lines of styled text, and times as they are read at a glance."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from cli.slo_text import duration
from vitalops.watch.snapshot import Held

if TYPE_CHECKING:
    from rich.text import Text


def line(*parts: str | tuple[str, str]) -> Text:
    """One line of text; a part with a style is a pair. What a terminal would act on is not shown."""
    from rich.text import Text

    text = Text(no_wrap=True)
    for part in parts:
        words, style = (part, "") if isinstance(part, str) else part
        text.append("".join(each if each.isprintable() else " " for each in words), style)
    return text


def clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S}"


def ago(at: datetime, since: datetime | None) -> str:
    return "-" if since is None else duration(max((at - since).total_seconds(), 0.0))


def brief(seconds: float) -> str:
    """A time in one unit, for a narrow column: 4s, 53m, 7h, 3d."""
    whole = max(int(seconds), 0)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if whole >= 2 * size:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def missing(held: Held[Any]) -> str:
    """Why there is nothing newer, and since when."""
    since = f" since {clock(held.since)}" if held.since else ""
    return f"no answer{since}: {held.problem}"
