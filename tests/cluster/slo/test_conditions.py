"""Prometheus decides of counts exactly what `vitalops.slo.conditions` decides of them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cluster.slo.harness import Story
from vitalops.conventions import ALERT_BURN, SEVERITY_PAGE, SEVERITY_TICKET
from vitalops.model.platform import Platform
from vitalops.slo.budget import Counts
from vitalops.slo.conditions import Seen, conditions_of, labels_of
from vitalops.slo.objectives import Slo, slos_of
from vitalops.slo.promql import selector
from vitalops.slo.rules import compile_rules
from vitalops.slo.windows import bundled_windows

STEPS = 400
STEP = 300
"""Seconds: the length of a slot, so that failures of six slots are six samples."""
RECORDINGS = r"slo:|SliAbsent|Exhausted"


def some_counts(chance: random.Random, slo: Slo) -> dict[str, Counts]:
    """Counts near where conditions change their minds."""
    windows = bundled_windows()
    names = [name for flag in (True, False) for name, _ in windows.names(with_scrape=flag)]
    counts: dict[str, Counts] = {}
    for name in names:
        events = chance.choice([0, chance.randrange(30), chance.randrange(1000), chance.randrange(20_000)])
        share = min(1.0, (1 - slo.objective) * chance.choice([0.3, 1.5, 5, 8, 13, 20, 60]))
        bad = min(events, round(events * share) + chance.choice([0, 0, 3, 11, 25]))
        counts[name] = Counts(events, 0 if chance.random() < 0.2 else bad)
    return counts


def decided(slo: Slo, severity: str, counts: list[dict[str, Counts]], step: int) -> bool:
    latest = counts[max(0, step - 5) : step + 1]
    seen = Seen(counts[step], sum(each["5m"].bad > 0.5 for each in latest))
    return any(each.holds(seen) for each in conditions_of(slo, bundled_windows(), severity))


def recorded(story: Story, slo: Slo, counts: list[dict[str, Counts]], labels: Mapping[str, str]) -> None:
    for name in counts[0]:
        own = [each[name] for each in counts]
        story.series[selector(f"slo:events:increase{name}", labels)] = [each.events for each in own]
        story.series[selector(f"slo:bad_events:increase{name}", labels)] = [each.bad for each in own]
        story.series[selector(f"slo:errors:ratio{name}", labels)] = [each.ratio for each in own]
    story.series[selector("slo:sli:present", {"slo": slo.id})] = [1.0] * len(counts)


@pytest.mark.parametrize("service", ["records", "payment", "consultation"])
def test_prometheus_and_the_conditions_agree(
    promtool: str, tmp_path: Path, platform: Platform, service: str
) -> None:
    chance = random.Random(service)
    story = Story(step=STEP, scrape=STEP)
    fired = {SEVERITY_PAGE: 0, SEVERITY_TICKET: 0}
    for slo in slos_of(platform, platform.services[service]):
        counts = [some_counts(chance, slo) for _ in range(STEPS)]
        everything = {
            **labels_of(slo),
            "sli": slo.sli_name,
            "service": service,
            "region": "fr-par",
            "pair": "france",
        }
        recorded(story, slo, counts, everything)
        for severity in fired:
            wanted = {"slo": slo.id, "severity": severity}
            for step in range(STEPS):
                if decided(slo, severity, counts, step):
                    fired[severity] += 1
                    story.fires(step * STEP, ALERT_BURN, {**everything, **wanted, "runbook": slo.sli.runbook})
                else:
                    story.silent(step * STEP, ALERT_BURN, wanted)
    for severity, times in fired.items():
        assert times > STEPS / 50, f"{severity}: too few alerts to compare"
    rules = {
        name: text for name, text in compile_rules(platform, "fr-par").items() if name == f"{service}.yaml"
    }
    story.told(promtool, tmp_path, rules, without=RECORDINGS)
