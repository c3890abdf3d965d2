"""What Grafana gets: whole, laid out, and the same every time."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as parts

from dashboards.compile import compile_dashboards, dashboards_of
from dashboards.layout import COLUMNS, place
from dashboards.model import Dashboard, Panel, Query, Section, Unit
from vitalops.model.platform import Platform


@pytest.fixture(scope="module")
def files(platform: Platform) -> Mapping[str, str]:
    return compile_dashboards(platform)


def pages(files: Mapping[str, str]) -> list[dict[str, Any]]:
    return [json.loads(text) for text in files.values()]


def test_the_same_platform_gives_the_same_files(platform: Platform, files: Mapping[str, str]) -> None:
    assert compile_dashboards(platform) == files


def test_what_a_dashboard_looks_like_to_grafana(
    files: Mapping[str, str], golden: Callable[[str, str], None]
) -> None:
    golden("failover-pair.json", files["failover-pair.json"])


def test_each_file_is_one_dashboard_with_an_address_of_its_own(files: Mapping[str, str]) -> None:
    uids = {name: json.loads(text)["uid"] for name, text in files.items()}
    assert uids == {name: f"vitalops-{name.removesuffix('.json')}" for name in files}
    # Grafana refuses longer ones.
    assert all(len(uid) <= 40 for uid in uids.values())


def test_every_panel_says_what_it_is_and_asks_something(files: Mapping[str, str]) -> None:
    for page in pages(files):
        ids = [panel["id"] for panel in page["panels"]]
        assert len(set(ids)) == len(ids)
        assert all(panel["title"] for panel in page["panels"] if panel["type"] != "text")
        asking = [panel for panel in page["panels"] if panel["type"] not in ("row", "text")]
        assert asking
        for panel in asking:
            where = f"{page['title']}: {panel['title']}"
            assert panel["description"].endswith("."), where
            assert panel["fieldConfig"]["defaults"]["unit"], where
            assert panel["targets"], where
            refs = [target["refId"] for target in panel["targets"]]
            assert len(set(refs)) == len(refs), where
            assert all(target["expr"] for target in panel["targets"]), where


def test_panels_stand_side_by_side_and_not_on_one_another(files: Mapping[str, str]) -> None:
    for page in pages(files):
        places = [panel["gridPos"] for panel in page["panels"]]
        for each in places:
            assert 0 <= each["x"] < each["x"] + each["w"] <= COLUMNS
        for one, other in combinations(places, 2):
            apart = (
                one["x"] + one["w"] <= other["x"]
                or other["x"] + other["w"] <= one["x"]
                or one["y"] + one["h"] <= other["y"]
                or other["y"] + other["h"] <= one["y"]
            )
            assert apart, (page["title"], one, other)


def test_no_data_source_is_named(files: Mapping[str, str]) -> None:
    def sources(value: Any) -> list[Any]:
        if isinstance(value, dict):
            own = [value["datasource"]] if "datasource" in value else []
            return own + [found for item in value.values() for found in sources(item)]
        return [found for item in value for found in sources(item)] if isinstance(value, list) else []

    for page in pages(files):
        assert page["templating"]["list"][0]["type"] == "datasource"
        found = sources(page)
        assert found
        for source in found:
            assert source == {"type": "prometheus", "uid": "${datasource}"}


def test_alerts_and_planned_work_are_drawn_over_every_dashboard(files: Mapping[str, str]) -> None:
    for page in pages(files):
        names = [annotation["name"] for annotation in page["annotations"]["list"]]
        assert names == ["Alerts", "Planned work"]


def test_titles_within_a_dashboard_differ(dashboards: tuple[Dashboard, ...]) -> None:
    for dashboard in dashboards:
        titles = [panel.title for panel in dashboard.panels]
        assert len(set(titles)) == len(titles), dashboard.slug


def test_a_panel_that_does_not_fit_begins_a_new_row() -> None:
    def panel(title: str, width: int, height: int = 8) -> Panel:
        return Panel(title, "It.", Unit.COUNT, (Query("up"),), width=width, height=height)

    placed = list(place([Section("s", (panel("a", 12, 9), panel("b", 8), panel("c", 8), panel("d", 16)))]))
    assert [(each.x, each.y) for each in placed] == [(0, 0), (0, 1), (12, 1), (0, 10), (8, 10)]


def test_a_large_platform_has_no_more_dashboards_than_a_small_one(platform: Platform) -> None:
    region = next(iter(platform.regions.values()))
    service = next(iter(platform.services.values()))
    large = platform.model_copy(
        update={
            "regions": {
                name: region.model_copy(update={"name": name}) for name in map("r{}".format, range(50))
            },
            "services": {
                name: service.model_copy(update={"name": name}) for name in map("s{}".format, range(200))
            },
        }
    )
    began = time.perf_counter()
    files = compile_dashboards(large)
    assert time.perf_counter() - began < 2.0
    assert [page.slug for page in dashboards_of(platform)] == [name.removesuffix(".json") for name in files]
    assert sum(map(len, files.values())) < 1_000_000


def test_a_service_in_an_overview_leads_to_its_dashboard(files: Mapping[str, str]) -> None:
    page = json.loads(files["platform.json"])
    links = {
        panel["title"]: panel["fieldConfig"]["defaults"]["links"][0]["url"]
        for panel in page["panels"]
        if panel.get("fieldConfig", {}).get("defaults", {}).get("links")
    }
    uid = json.loads(files["service.json"])["uid"]
    assert links["Objectives"].startswith(f"/d/{uid}?var-service=${{__data.fields.service}}&")
    assert links["Requests by service"].startswith(f"/d/{uid}?var-service=${{__field.labels.proxy}}&")


def test_grafanas_own_types_take_every_file(files: Mapping[str, str]) -> None:
    register_default_plugins()
    for page in pages(files):
        again = json.loads(json.dumps(parts.Dashboard.from_json(page), cls=JSONEncoder))
        for field in ("uid", "templating", "links", "time"):
            assert again[field] == page[field]
        for key in ("id", "type", "gridPos", "targets"):
            assert [panel.get(key) for panel in again["panels"]] == [
                panel.get(key) for panel in page["panels"]
            ]


def test_a_server_error_is_red_everywhere(files: Mapping[str, str]) -> None:
    found = [
        override["properties"]
        for page in pages(files)
        for panel in page["panels"]
        for override in panel.get("fieldConfig", {}).get("overrides", [])
        if override["matcher"]["id"] == "byRegexp" and re.search(override["matcher"]["options"][1:-1], "5xx")
    ]
    assert len(found) > 3
    assert all(each == [{"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}}] for each in found)
