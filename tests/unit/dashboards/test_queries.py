"""Every query is PromQL, over metrics that exist, with variables that its dashboard has."""

from __future__ import annotations

import re

import promql_parser
import pytest
import yaml

from dashboards import names
from dashboards.check import Period, questions
from dashboards.compile import dashboards_of
from dashboards.model import Colour, Dashboard, Line, Panel
from infra.components.telemetry.scrape import KEPT_OF_CONTAINERS, KEPT_OF_GATEWAY, KEPT_OF_TELEMETRY
from vitalops import conventions as c
from vitalops.model.platform import Platform
from vitalops.slo.rules import compile_rules

_BUILT_IN = {"__rate_interval"}
_SUFFIXES = ("_bucket", "_sum", "_count")


def metrics_of(query: str) -> set[str]:
    """Names of the metrics in a query. Raises ValueError where it is no PromQL."""
    found: set[str] = set()

    def visit(expr: object) -> None:
        selected = expr.vector_selector if isinstance(expr, promql_parser.MatrixSelector) else expr
        if isinstance(selected, promql_parser.VectorSelector) and selected.name:
            found.add(selected.name)

    promql_parser.walk(promql_parser.parse(query), visit)
    return found


def recorded(platform: Platform) -> set[str]:
    """Names of the series that the platform's own rules record; planned work only where there is some."""
    files = compile_rules(platform, "fr-par").values()
    groups = [group for text in files for group in yaml.safe_load(text)["groups"]]
    return {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}


def named() -> set[str]:
    return {value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}


def test_every_query_is_promql_over_known_metrics(
    platform: Platform, dashboards: tuple[Dashboard, ...], period: Period
) -> None:
    known = named() | recorded(platform) | {c.RECORD_PLANNED, "ALERTS"}
    asked = list(questions(dashboards, "fr-par", ["records"], period))
    assert len(asked) > 100
    for question in asked:
        assert "$" not in question.expr, question
        used = metrics_of(question.expr)
        assert used, question
        for metric in used:
            bare = next((metric.removesuffix(each) for each in _SUFFIXES if metric.endswith(each)), metric)
            assert {metric, bare} & known, f"{question.dashboard}, {question.panel}: {metric}"


def test_what_is_asked_for_is_not_dropped_when_it_is_scraped() -> None:
    kept = (*KEPT_OF_GATEWAY, *KEPT_OF_CONTAINERS, *KEPT_OF_TELEMETRY)
    filtered = [
        name for name in named() if name.startswith(("haproxy_", "container_", "prometheus_", "process_"))
    ]
    assert filtered
    for metric in filtered:
        assert any(re.fullmatch(expression, metric) for expression in kept), metric


def test_no_metric_is_named_for_nothing(dashboards: tuple[Dashboard, ...], period: Period) -> None:
    asked = " ".join(each.expr for each in questions(dashboards, "fr-par", ["records"], period))
    assert not [name for name in named() if name not in asked]


def test_queries_use_the_variables_of_their_dashboard_and_all_of_them(
    dashboards: tuple[Dashboard, ...],
) -> None:
    for dashboard in dashboards:
        used = {
            name
            for panel in dashboard.panels
            for query in panel.queries
            for name in re.findall(r"\$\{?(\w+)", query.expr)
        }
        assert used - _BUILT_IN == {variable.name for variable in dashboard.variables}, dashboard.slug


def find(dashboards: tuple[Dashboard, ...], slug: str, title: str) -> Panel:
    (dashboard,) = (each for each in dashboards if each.slug == slug)
    (panel,) = (each for each in dashboard.panels if each.title == title)
    return panel


def test_lines_are_those_of_the_slis(platform: Platform) -> None:
    joined = platform.slis["joined-in-time"].model_copy(update={"threshold_ms": 4500})
    changed = platform.model_copy(update={"slis": {**platform.slis, "joined-in-time": joined}})
    assert find(dashboards_of(platform), "consultation-quality", "Joining").lines == (Line(3.0, Colour.BAD),)
    assert find(dashboards_of(changed), "consultation-quality", "Joining").lines == (Line(4.5, Colour.BAD),)


def test_burn_lines_follow_the_length_of_the_budgets(platform: Platform) -> None:
    tiers = {name: tier.model_copy(update={"window_days": 60}) for name, tier in platform.tiers.items()}
    longer = platform.model_copy(update={"tiers": tiers})
    (before,) = find(dashboards_of(platform), "service", "Burn over 1h").lines
    (after,) = find(dashboards_of(longer), "service", "Burn over 1h").lines
    assert before == Line(pytest.approx(14.4), Colour.BAD)
    assert after.value == pytest.approx(2 * 14.4)


def test_how_far_a_standby_is_behind_has_the_line_of_the_rpo(platform: Platform) -> None:
    pairs = {
        name: pair.model_copy(update={"rpo_seconds": seconds})
        for seconds, (name, pair) in enumerate(platform.pairs.items(), start=7)
    }
    changed = platform.model_copy(update={"pairs": pairs})
    panel = find(dashboards_of(changed), "failover-pair", "Behind by")
    assert [line.value for line in panel.lines] == [7, 8]
