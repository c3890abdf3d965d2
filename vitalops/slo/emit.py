"""Rule files as text. Written line by line: a YAML library would take minutes for the files of a large platform.

Format: https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vitalops.slo.promql import duration, quoted

HEADER = "# Compiled from platform.yaml by `vitalops slo rules`: change it there.\n"


class Raw(str):
    """Text of ours that is put into quotes as it is."""

    __slots__ = ()


def record(name: str, expression: str, labels: Mapping[str, str] | None = None) -> str:
    """A recording rule."""
    return f"      - record: {name}\n{_expression(expression)}{_mapping('labels', labels or {})}"


def alert(
    name: str,
    expression: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    *,
    wait: int = 0,
    keep: int = 0,
) -> str:
    """An alerting rule that fires after `wait` seconds and goes on for `keep` seconds. Annotations are templates."""
    timing = f"        for: {duration(wait)}\n" if wait else ""
    timing += f"        keep_firing_for: {duration(keep)}\n" if keep else ""
    body = f"{timing}{_mapping('labels', labels)}{_mapping('annotations', annotations)}"
    return f"      - alert: {name}\n{_expression(expression)}{body}"


def group(name: str, interval: int, rules: Iterable[str]) -> str:
    """Rules that are evaluated one after the other, each `interval` seconds; nothing where there are none."""
    body = "".join(rules)
    return f"  - name: {name}\n    interval: {duration(interval)}\n    rules:\n{body}" if body else ""


def file(groups: Iterable[str]) -> str:
    """A rule file; empty where no group has rules."""
    body = "".join(groups)
    return f"{HEADER}groups:\n{body}" if body else ""


def plain(text: str) -> str:
    """Text as it may stand in a template: without its actions."""
    return text.replace("{{", '{{ "{{" }}')


def _expression(expression: str) -> str:
    lines = expression.replace("\n", "\n          ")
    return f"        expr: |-\n          {lines}\n"


def _mapping(key: str, entries: Mapping[str, str]) -> str:
    if not entries:
        return ""
    lines = "".join(
        f"          {name}: {value if isinstance(value, Raw) else quoted(value)}\n"
        for name, value in entries.items()
    )
    return f"        {key}:\n{lines}"
