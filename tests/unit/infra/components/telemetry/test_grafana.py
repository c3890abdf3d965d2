"""Grafana as objects. Its image is not built by the suite, so no test runs it."""

from __future__ import annotations

import base64
import configparser
import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from infra.components.args import RegionArgs
from infra.components.telemetry import grafana as g
from vitalops import conventions as c
from vitalops.errors import UsageError


def of_kind(args: RegionArgs, kind: str) -> list[dict[str, Any]]:
    return [each for each in (*g.grafana_objects(args), *g.workloads(args)) if each["kind"] == kind]


def test_nothing_of_it_is_there_unless_the_platform_names_an_image(
    region: Callable[[str], RegionArgs], grafana: RegionArgs
) -> None:
    without = region("fr-par")
    assert not g.wanted(without)
    assert not without.secrets.grafana
    assert g.wanted(grafana)


def test_it_is_ready_to_show_what_was_handed_over(grafana: RegionArgs) -> None:
    maps = {each["metadata"]["name"]: each["data"] for each in of_kind(grafana, "ConfigMap")}
    assert maps[f"{g.DASHBOARDS}-1"] == grafana.dashboards
    provider = yaml.safe_load(maps[g.CONFIG]["dashboards.yaml"])["providers"][0]
    (deployment,) = of_kind(grafana, "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    mounts = {each["mountPath"]: each["name"] for each in pod["containers"][0]["volumeMounts"]}
    volumes = {each["name"]: each for each in pod["volumes"]}
    assert volumes[mounts[provider["options"]["path"]]]["projected"]["sources"] == [
        {"configMap": {"name": f"{g.DASHBOARDS}-1"}}
    ]


def test_dashboards_are_split_by_size_and_keep_their_order(grafana: RegionArgs) -> None:
    files = {f"{number}.json": "x" * 300_000 for number in range(7)}
    groups = g.split(files)
    assert [len(group) for group in groups] == [2, 2, 2, 1]
    assert {name: text for group in groups for name, text in group.items()} == files
    many = dataclasses.replace(grafana, dashboards=files)
    maps = [each["metadata"]["name"] for each in of_kind(many, "ConfigMap")]
    assert maps == [g.CONFIG, *(f"{g.DASHBOARDS}-{number}" for number in range(1, 5))]
    with pytest.raises(UsageError, match=r"big\.json is too large"):
        g.split({"big.json": "é" * (g.MOST_BYTES // 2)})


def test_nobody_sees_anything_without_signing_in(grafana: RegionArgs) -> None:
    text = of_kind(grafana, "ConfigMap")[0]["data"]["grafana.ini"]
    settings = configparser.ConfigParser(interpolation=None)
    settings.read_string(text)
    assert settings["auth.anonymous"]["enabled"] == "false"
    assert settings["users"]["allow_sign_up"] == "false"
    assert settings["security"]["admin_password"] == "$__file{/etc/grafana/secrets/admin-password}"


def test_secrets_are_files_and_nowhere_else(grafana: RegionArgs) -> None:
    (kept,) = of_kind(grafana, "Secret")
    values = {name: base64.b64decode(value).decode() for name, value in kept["data"].items()}
    assert values == dict(grafana.secrets.grafana)
    assert set(values) == set(g.FILES)
    assert all(len(value) >= 32 for value in values.values())
    others = [each for each in (*g.grafana_objects(grafana), *g.workloads(grafana)) if each is not kept]
    assert not [value for value in values.values() if value in json.dumps(others)]


def test_a_new_password_begins_a_new_pod_and_new_dashboards_do_not(grafana: RegionArgs) -> None:
    secrets = dataclasses.replace(grafana.secrets, grafana=dict.fromkeys(g.FILES, "another"))
    assert g.workloads(dataclasses.replace(grafana, secrets=secrets)) != g.workloads(grafana)
    changed = dataclasses.replace(grafana, dashboards={"one.json": "[]"})
    assert g.workloads(changed) == g.workloads(grafana)


def test_its_sources_are_the_regions_own_and_it_reaches_nothing_else(grafana: RegionArgs) -> None:
    text = of_kind(grafana, "ConfigMap")[0]["data"]["datasources.yaml"]
    sources = yaml.safe_load(text)["datasources"]
    assert [each["name"] for each in sources if each.get("isDefault")] == ["Prometheus fr-gra"]
    interval = grafana.platform.telemetry.scrape_interval_seconds
    assert sources[0]["jsonData"]["timeInterval"] == f"{interval}s"
    (own,) = (each for each in of_kind(grafana, "NetworkPolicy") if "egress" in each["spec"])
    reached = {
        (rule["to"][0]["podSelector"]["matchLabels"][c.LABEL_NAME], rule["ports"][0]["port"])
        for rule in own["spec"]["egress"]
    }
    assert {each["url"] for each in sources} == {
        f"http://{name}.{c.NAMESPACE_TELEMETRY}.svc.cluster.local:{port}" for name, port in reached
    }


def test_a_grafana_without_dashboards_is_refused(grafana: RegionArgs) -> None:
    with pytest.raises(UsageError, match="no dashboards were handed over"):
        g.grafana_objects(dataclasses.replace(grafana, dashboards={}))
