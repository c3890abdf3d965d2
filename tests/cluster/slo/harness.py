"""Stories told to Prometheus's own rule engine: what is scraped second by second, and what must fire when.

`promtool test rules` evaluates every group with each step, whatever the group's interval. So the base, which is
recorded each minute, is read through a subquery of one minute here, which sees what a Prometheus would have recorded.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from vitalops.slo.promql import duration, selector

SCRAPE = 5
Values = Sequence[float | None]
"""One for each scrape; None is a scrape in which the series was gone."""

_BASE_RANGE = re.compile(r"(slo:\w+:increase1m\{[^}]*\})\[([0-9a-z]+)\]")


def counter(seconds: int, each_second: Callable[[int], float], *, start: float = 0) -> list[float]:
    """A counter that grows by `each_second(s)` in second s = 1, 2, ..., as scraped from second 0 to `seconds`."""
    values, total = [start], start
    for second in range(1, seconds + 1):
        total += each_second(second)
        if second % SCRAPE == 0:
            values.append(total)
    return values


def gone(values: Values, since: int, until: int | None = None) -> list[float | None]:
    """`values` without the scrapes from second `since` to before `until`."""
    last = len(values) * SCRAPE if until is None else until
    return [None if since <= index * SCRAPE < last else value for index, value in enumerate(values)]


@dataclass
class Story:
    """Series as scraped, and what must be seen at which second."""

    series: dict[str, Values] = field(default_factory=dict)
    expected: list[dict[str, Any]] = field(default_factory=list)
    annotated: list[dict[str, Any]] = field(default_factory=list)
    step: int = SCRAPE
    """Seconds between two evaluations."""
    scrape: int = SCRAPE

    def scraped(self, metric: str, labels: Mapping[str, str], values: Values) -> None:
        self.series[selector(metric, labels)] = values

    def expect(self, at: int, expression: str, *samples: tuple[str, float]) -> None:
        """`expression` at second `at` has exactly these samples: series (as text) and value."""
        self.expected.append(
            {
                "expr": expression,
                "eval_time": f"{at}s",
                "exp_samples": [{"labels": labels, "value": value} for labels, value in samples],
            }
        )

    def fires(self, at: int, alert: str, labels: Mapping[str, str]) -> None:
        """Exactly one alert of that name and severity fires for that SLO, with exactly these labels."""
        everything = {"alertname": alert, "alertstate": "firing", **labels}
        self.expect(at, _firing(alert, labels), (selector("ALERTS", everything), 1))

    def silent(self, at: int, alert: str, labels: Mapping[str, str]) -> None:
        self.expect(at, _firing(alert, labels))

    def never_fired(self, at: int, alert: str, labels: Mapping[str, str]) -> None:
        """Not once from the beginning until second `at`."""
        self.expect(at, f"count_over_time({_firing(alert, labels)}[{duration(at)}])")

    def says(self, at: int, alert: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> None:
        """All alerts of that name that fire are this one."""
        self.annotated.append(
            {
                "eval_time": f"{at}s",
                "alertname": alert,
                "exp_alerts": [{"exp_labels": dict(labels), "exp_annotations": dict(annotations)}],
            }
        )

    def told(self, promtool: str, folder: Path, rules: Mapping[str, str], *, without: str = "") -> None:
        """Fails where Prometheus sees something else. Recorded series and alerts that match `without` are left out."""
        names: list[str] = []
        for name, text in rules.items():
            (folder / name).write_text(json.dumps(_for_promtool(text, without)))
            names.append(name)
        test = {
            "interval": duration(self.scrape),
            "input_series": [
                {"series": series, "values": encoded(values)} for series, values in self.series.items()
            ],
            "promql_expr_test": self.expected,
            "alert_rule_test": self.annotated,
        }
        assert self.expected or self.annotated, "a story that expects nothing cannot fail"
        (folder / "test.yaml").write_text(
            json.dumps({"rule_files": names, "evaluation_interval": duration(self.step), "tests": [test]})
        )
        done = subprocess.run(
            [promtool, "test", "rules", "test.yaml"], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def _firing(alert: str, labels: Mapping[str, str]) -> str:
    wanted = {key: labels[key] for key in ("slo", "severity") if key in labels}
    return selector("ALERTS", {"alertname": alert, "alertstate": "firing", **wanted})


def encoded(values: Values) -> str:
    """In promtool's notation, where `a+bxn` is a and n more values, each larger by b."""
    parts: list[str] = []
    index = 0
    while index < len(values):
        value = values[index]
        end = index + 1
        if value is None:
            while end < len(values) and values[end] is None:
                end += 1
            # The first one says so, as Prometheus does; the others are just not there.
            parts.append("stale" if end - index == 1 else f"stale _x{end - index - 1}")
        else:
            rise = _rise(values, index)
            while end < len(values) and rise is not None and _rise(values, end - 1) == rise:
                end += 1
            parts.append(f"{value:g}" if end - index == 1 else f"{value!r}+{rise!r}x{end - index - 1}")
        index = end
    return " ".join(parts)


def _rise(values: Values, index: int) -> float | None:
    now, then = values[index], values[index + 1] if index + 1 < len(values) else None
    return None if now is None or then is None or then < now else round(then - now, 9)


def _for_promtool(text: str, without: str) -> dict[str, Any]:
    data: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    for group in data["groups"]:
        group["rules"] = [
            {**rule, "expr": _BASE_RANGE.sub(r"\1[\2:1m]", rule["expr"])}
            for rule in group["rules"]
            if not (without and re.search(without, rule.get("record", rule.get("alert"))))
        ]
    data["groups"] = [group for group in data["groups"] if group["rules"]]
    return data


def only(rules: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Some of a region's rule files."""
    return {name: rules[name] for name in names}
