"""How traces are printed for people: a table of many, a tree with a timeline of one."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from cli.output import paint, table
from vitalops.observe.durations import shown
from vitalops.observe.spans import Span, Trace

_BAR: Final = 28
_WIDEST: Final = 160
_STATEMENTS: Final = ("db.query.text", "db.statement")
_CONTROL: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


def listing(traces: Sequence[Trace]) -> str:
    """Newest first, as given."""
    rows = [
        (
            trace.start.strftime("%H:%M:%S"),
            trace.region,
            shown(trace.duration),
            len(trace.spans),
            trace.errors or "-",
            _services(trace.services),
            _clean(trace.name, 48),
            trace.id,
        )
        for trace in traces
    ]
    return table(("began", "region", "took", "spans", "errors", "services", "what", "trace"), rows)


def _services(names: Sequence[str]) -> str:
    shortened = ", ".join(names[:3])
    return f"{shortened} +{len(names) - 3}" if len(names) > 3 else shortened


def tree(trace: Trace) -> str:
    """Every span below what caused it, with its part of the trace's time; failed ones in red."""
    width = min(shutil.get_terminal_size((120, 24)).columns, _WIDEST)
    rows = [row for node in trace.roots for row in node.walk()]
    longest = max(len(_label(depth, span)) for depth, span in rows)
    label_width = max(min(longest, width - _BAR - 16), 24)
    errors = f", {trace.errors} failed" if trace.errors else ""
    head = (
        f"{paint(trace.id, 'bold')}  {trace.region}  {trace.start:%Y-%m-%d %H:%M:%S} UTC  {shown(trace.duration)}, "
        f"{_counted(len(trace.spans), 'span')} of {_counted(len(trace.services), 'service')}{errors}"
    )
    lines = [head]
    for depth, span in rows:
        label = _clean(_label(depth, span), label_width, indent=depth).ljust(label_width)
        line = f"{label}  {bar(trace, span)}  {shown(span.duration):>9}"
        lines.append(paint(f"{line}  failed", "red") if span.error else line)
    return "\n".join(lines)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _label(depth: int, span: Span) -> str:
    statement = next((span.tags[key] for key in _STATEMENTS if span.tags.get(key)), "")
    what = statement or span.name
    return f"{'  ' * depth}{span.service}: {what}"


def _clean(text: str, width: int, *, indent: int = 0) -> str:
    """One printable line of at most `width` characters; `indent` levels of indentation are kept."""
    made = "  " * indent + _CONTROL.sub(" ", text.strip())
    return made if len(made) <= width else made[: width - 1] + "…"


def bar(trace: Trace, span: Span, width: int = _BAR) -> str:
    """Where in the trace's time the span was; at least one mark, however short it was."""
    whole = max(trace.duration, timedelta(microseconds=1))
    begin = min(int((span.start - trace.start) / whole * width), width - 1)
    length = max(round(span.duration / whole * width), 1)
    length = min(length, width - begin)
    return "·" * begin + "█" * length + "·" * (width - begin - length)
