"""Rule files as data: what is in them for whom; and the bundled ones as golden files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
import yaml

from vitalops.conventions import (
    ALERT_BURN,
    ALERT_EXHAUSTED,
    ALERT_PEER_UNREACHABLE,
    ALERT_PLANNED,
    ALERT_REPLICATION_LAG,
    ALERT_SLI_ABSENT,
    ALERT_TARGET_DOWN,
    ALERT_WATCHDOG,
)
from vitalops.errors import UsageError
from vitalops.model.platform import Platform
from vitalops.model.telemetry import PlannedWork
from vitalops.slo.infrastructure import lag_limit
from vitalops.slo.objectives import objectives_of
from vitalops.slo.rules import INFRASTRUCTURE_FILE, PLANNED_FILE, Compiler, RuleFiles, compile_rules

HOSTILE = 'a"b\\c{{ $value }}\u2028\x7fé🩺\ue000'


@cache
def parsed(text: str) -> Any:
    return yaml.load(text, Loader=yaml.CSafeLoader)


def groups_of(files: RuleFiles) -> Iterator[dict[str, Any]]:
    for text in files.values():
        yield from parsed(text)["groups"]


def rules_of(files: RuleFiles) -> list[dict[str, Any]]:
    return [rule for group in groups_of(files) for rule in group["rules"]]


def alerts_of(files: RuleFiles, name: str) -> list[dict[str, Any]]:
    return [rule for rule in rules_of(files) if rule.get("alert") == name]


def work(**parts: Any) -> PlannedWork:
    start, end = datetime(2026, 12, 1, 22, tzinfo=UTC), datetime(2026, 12, 1, 23, 30, tzinfo=UTC)
    return PlannedWork(start=start, end=end, reason=parts.pop("reason", "upgrade"), **parts)


def with_work(platform: Platform, *planned: PlannedWork) -> Platform:
    return platform.model_copy(update={"planned_work": planned})


@pytest.mark.parametrize("name", [INFRASTRUCTURE_FILE, "records.yaml", "consultation.yaml"])
def test_the_bundled_rules(bundled: Platform, golden: Callable[[str, str], None], name: str) -> None:
    golden(f"fr-par/{name}", compile_rules(bundled, "fr-par")[name])


def test_the_rules_of_planned_work(bundled: Platform, golden: Callable[[str, str], None]) -> None:
    planned = with_work(bundled, work(services=("records", "audit"), regions=("fr-par",)), work())
    golden("fr-par/_planned-work.yaml", compile_rules(planned, "fr-par")[PLANNED_FILE])


def test_one_region_s_rules_are_the_other_s_under_its_name(bundled: Platform) -> None:
    compiler = Compiler(bundled)
    paris, zurich = compiler.region("fr-par"), compiler.region("ch-zrh")
    assert list(paris) == list(zurich)
    for name in paris:
        assert paris[name].replace("fr-par", "ch-zrh").replace("france", "switzerland") == zurich[name]
    assert compile_rules(bundled, "fr-par") == paris


def test_every_objective_has_its_series_and_its_alerts(bundled: Platform) -> None:
    files = compile_rules(bundled, "fr-par")
    recorded = {
        (rule["record"], rule.get("labels", {}).get("slo")) for rule in rules_of(files) if "record" in rule
    }
    for slo in objectives_of(bundled):
        for name in (
            "slo:sli:present",
            "slo:events:increase5m",
            "slo:bad_events:increase5m",
            "slo:events:increase1m",
            "slo:bad_events:increase1m",
            "slo:objective:ratio",
        ):
            assert (name, slo.id) in recorded
        severities = {
            rule["labels"]["severity"]
            for rule in alerts_of(files, ALERT_BURN)
            if rule["labels"]["slo"] == slo.id
        }
        assert severities == ({"page", "ticket"} if slo.pages else {"ticket"})
        for name, severity in (
            (ALERT_SLI_ABSENT, "page" if slo.pages else "ticket"),
            (ALERT_EXHAUSTED, "ticket"),
        ):
            (alert,) = [rule for rule in alerts_of(files, name) if rule["labels"]["slo"] == slo.id]
            assert alert["labels"] == {
                "severity": severity,
                "slo": slo.id,
                "sli": slo.sli_name,
                "service": slo.service,
                "region": "fr-par",
                "pair": "france",
                "traffic": slo.sli.traffic,
                "runbook": slo.sli.runbook,
            }


def test_groups_have_names_and_intervals_of_their_own(bundled: Platform) -> None:
    groups = list(groups_of(compile_rules(bundled, "fr-par")))
    names = [group["name"] for group in groups]
    assert len(names) == len(set(names))
    assert {group["interval"] for group in groups} == {"5s", "1m", "5m"}


def test_no_series_is_recorded_twice(bundled: Platform) -> None:
    """Two rules that record the same series would fight over it: also where a budget's window is an alert's."""
    few = {name: bundled.services[name] for name in ("records", "consultation")}
    for days in (30, 3, 1):
        tiers = {name: tier.model_copy(update={"window_days": days}) for name, tier in bundled.tiers.items()}
        files = compile_rules(bundled.model_copy(update={"tiers": tiers, "services": few}), "fr-par")
        for name, text in files.items():
            recorded = [
                (rule["record"], tuple(sorted(rule.get("labels", {}).items())))
                for group in parsed(text)["groups"]
                for rule in group["rules"]
                if "record" in rule
            ]
            assert len(recorded) == len(set(recorded)), name


def test_every_region_has_the_alerts_that_no_objective_stands_for(bundled: Platform) -> None:
    files = compile_rules(bundled, "fr-gra")
    names = (ALERT_PEER_UNREACHABLE, ALERT_TARGET_DOWN, ALERT_REPLICATION_LAG, ALERT_WATCHDOG)
    for name, severity in zip(names, ("page", "ticket", "ticket", "none"), strict=True):
        (alert,) = alerts_of(files, name)
        assert alert["labels"]["severity"] == severity
        assert alert["labels"]["region"] == "fr-gra"
        assert alert["labels"]["pair"] == "france"
    assert f"> {lag_limit(bundled.pairs['france'])})" in alerts_of(files, ALERT_REPLICATION_LAG)[0]["expr"]


def test_services_placed_elsewhere_have_no_rules(bundled: Platform) -> None:
    payment = bundled.services["payment"].model_copy(update={"pairs": ("switzerland",)})
    moved = bundled.model_copy(update={"services": {**bundled.services, "payment": payment}})
    assert "payment.yaml" not in compile_rules(moved, "fr-par")
    assert "payment.yaml" in compile_rules(moved, "ch-gva")


def test_a_region_in_no_pair_is_a_usage_error(bundled: Platform) -> None:
    with pytest.raises(UsageError, match=r"no pair has a region 'fr-pra' \(did you mean 'fr-par'\?\)"):
        compile_rules(bundled, "fr-pra")


def test_without_a_prober_nothing_misses_what_it_measures(bundled: Platform) -> None:
    def missed(platform: Platform) -> list[dict[str, Any]]:
        found = alerts_of(compile_rules(platform, "fr-par"), ALERT_SLI_ABSENT)
        return [rule for rule in found if rule["labels"]["sli"] == "synthetic-consultation"]

    (alert,) = missed(bundled)
    assert "max(patroni_primary) == 1" in alert["expr"], "the standby region's prober does not walk"
    off = bundled.telemetry.prober.model_copy(update={"enabled": False})
    telemetry = bundled.telemetry.model_copy(update={"prober": off})
    assert missed(bundled.model_copy(update={"telemetry": telemetry})) == []


def test_planned_work_changes_the_rules_of_its_services_and_regions_only(bundled: Platform) -> None:
    planned = with_work(bundled, work(services=("records",), regions=("fr-gra",)))
    assert compile_rules(planned, "fr-par") == compile_rules(bundled, "fr-par")
    before, after = compile_rules(bundled, "fr-gra"), compile_rules(planned, "fr-gra")
    assert {name for name in after if after[name] != before.get(name)} == {PLANNED_FILE, "records.yaml"}
    (told,) = alerts_of(after, ALERT_PLANNED)
    assert told["labels"]["severity"] == "none"
    assert told["annotations"]["summary"] == "Planned work on records until 2026-12-01T23:30:00Z: upgrade"
    for rule in rules_of({"records.yaml": after["records.yaml"]}):
        if rule.get("alert") in (ALERT_BURN, ALERT_SLI_ABSENT):
            assert 'slo:planned_work:active{service="records"}' in rule["expr"]


def test_work_on_a_whole_region_mutes_what_watches_it(bundled: Platform) -> None:
    planned = with_work(bundled, work(regions=("fr-gra",)))
    here, peer = compile_rules(planned, "fr-gra"), compile_rules(planned, "fr-par")
    assert "time()" in alerts_of(here, ALERT_TARGET_DOWN)[0]["expr"]
    assert "time()" not in alerts_of(here, ALERT_PEER_UNREACHABLE)[0]["expr"]
    assert "time()" in alerts_of(peer, ALERT_PEER_UNREACHABLE)[0]["expr"]
    assert "time()" not in alerts_of(peer, ALERT_TARGET_DOWN)[0]["expr"]


def test_text_of_the_platform_stays_text(bundled: Platform) -> None:
    """In YAML, in PromQL and in the templates of annotations."""
    answered = bundled.slis["answered"]
    total = answered.total.model_copy(update={"labels": {"proxy": (HOSTILE, "b|c")}})  # type: ignore[union-attr]
    sli = answered.model_copy(update={"description": HOSTILE, "total": total})
    hostile = bundled.model_copy(update={"slis": {**bundled.slis, "answered": sli}})
    files = compile_rules(with_work(hostile, work(reason=HOSTILE)), "fr-par")
    shown = 'a"b\\c{{ "{{" }} $value }}\u2028\x7fé🩺\ue000'
    burn = alerts_of(files, ALERT_BURN)[0]
    assert burn["annotations"]["notices"] == shown
    assert alerts_of(files, ALERT_PLANNED)[0]["annotations"]["summary"].endswith(shown)
    present = next(rule for rule in rules_of(files) if rule.get("record") == "slo:sli:present")
    assert (
        '"a\\"b\\\\\\\\c\\\\{\\\\{ \\\\$value \\\\}\\\\}\\u2028\\u007fé🩺\\ue000|b\\\\|c"' in present["expr"]
    )
