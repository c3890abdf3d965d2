"""Every query is PromQL, over metrics that exist, with variables that its dashboard has."""

from __future__ import annotations

import re

import promql_parser
import pytest

from dashboards import names
from dashboards.check import Period, questions
from dashboards.compile import dashboards_of
from dashboards.model import Colour, Dashboard, Line, Panel
from vitalops import conventions as c
from vitalops.model.platform import Platform
from vitalops.slo.windows import bundled_windows

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


def known_metrics() -> set[str]:
    windows = {name for window in bundled_windows().all for name in (window.long_name, window.short_name)}
    named = {value for name, value in vars(names).items() if name.isupper()}
    recorded = {c.RECORD_OBJECTIVE, c.RECORD_PRESENT, c.RECORD_PLANNED, c.RECORD_BUDGET_LEFT}
    return named | recorded | {f"{c.RECORD_RATIO}{window}" for window in windows} | {"ALERTS"}


def test_every_query_is_promql_over_known_metrics(dashboards: tuple[Dashboard, ...], period: Period) -> None:
    known = known_metrics()
    asked = list(questions(dashboards, "fr-par", ["records"], period))
    assert len(asked) > 100
    for question in asked:
        assert "$" not in question.expr, question
        used = metrics_of(question.expr)
        assert used, question
        for metric in used:
            bare = next((metric.removesuffix(each) for each in _SUFFIXES if metric.endswith(each)), metric)
            assert {metric, bare} & known, f"{question.dashboard}, {question.panel}: {metric}"


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


def test_the_age_of_replicated_writes_has_the_line_of_the_rpo(platform: Platform) -> None:
    pairs = {
        name: pair.model_copy(update={"rpo_seconds": seconds})
        for seconds, (name, pair) in enumerate(platform.pairs.items(), start=7)
    }
    changed = platform.model_copy(update={"pairs": pairs})
    panel = find(dashboards_of(changed), "failover-pair", "Age of the last replayed write")
    assert [line.value for line in panel.lines] == [7, 8]


def test_budgets_count_each_sli_by_its_own_traffic(platform: Platform) -> None:
    from dashboards.objectives import counted

    promql_parser.parse(counted(platform, "slo:errors:ratio1h"))
    people = platform.model_copy(update={"slis": {"answered": platform.slis["answered"]}})
    assert counted(people, "x") == 'x{traffic!="synthetic"}'
    assert counted(platform, "x") == (
        '(x{traffic!="synthetic",sli!="synthetic-consultation"}'
        ' or x{traffic="synthetic",sli="synthetic-consultation"})'
    )
