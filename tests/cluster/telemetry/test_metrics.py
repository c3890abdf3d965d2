"""What each region measures of itself and of its peer, on the real thing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
import yaml

from infra.operations.observe import Backend, through
from infra.program.access import connect
from tests.cluster.conftest import RunningPlatform
from vitalops import conventions as c
from vitalops.observe.alertmanager import AlertmanagerAlerts
from vitalops.observe.freshness import require_fresh
from vitalops.observe.prometheus import PrometheusMetrics
from vitalops.paths import Paths
from vitalops.slo.catalogue import CATALOGUE
from vitalops.slo.rules import compile_rules

T = TypeVar("T")
PATIENCE_SECONDS = 180
MOST_SERIES = 60_000
"""In memory, those of pods that are gone among them: they stay for up to three hours."""
PROMETHEUS_MEGABYTES = 250
TELEMETRY_MEGABYTES = 600


@pytest.fixture(params=["primary", "standby"])
def region(request: pytest.FixtureRequest, running_platform: RunningPlatform) -> str:
    return str(getattr(running_platform.pair, request.param))


@pytest.fixture
def metrics(region: str, running_platform: RunningPlatform) -> PrometheusMetrics:
    return prometheus(running_platform, region)


def prometheus(running: RunningPlatform, region: str) -> PrometheusMetrics:
    found = through(connect(running.platform, Paths.from_environment(), region), Backend.PROMETHEUS)
    return PrometheusMetrics(region, found.base_url, found.session)


def eventually(ask: Callable[[], T], right: Callable[[T], bool]) -> T:
    """The answer, once it is right, or what it was at last."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = ask()
        if right(answer) or time.monotonic() > deadline:
            return answer
        time.sleep(2)


def expected_targets(running: RunningPlatform, region: str) -> set[tuple[str, str]]:
    """Job and service of everything that there is to scrape in a region."""
    telemetry = {c.PROMETHEUS_SERVICE, c.ALERTMANAGER_SERVICE, c.TRACES_SERVICE, c.LOGS_SERVICE, c.COLLECTOR}
    made = {
        *((c.JOB_SERVICES, name) for name in running.platform.services),
        (c.JOB_GATEWAY, c.GATEWAY_SERVICE),
        (c.JOB_MEDIA, c.LIVEKIT_SERVICE),
        (c.JOB_DATABASE, "postgres"),
        (c.JOB_BACKUPS, "postgres"),
        (c.JOB_PEER, c.GATEWAY_SERVICE),
        (c.JOB_KUBELET, "kubelet"),
        (c.JOB_CONTAINERS, "kubelet"),
        (c.JOB_API_SERVER, c.JOB_API_SERVER),
        (c.JOB_DNS, c.JOB_DNS),
        *((c.JOB_TELEMETRY, name) for name in telemetry),
    }
    # Consultations are walked where writes are taken.
    return made | ({(c.JOB_PROBER, c.PROBER)} if region == running.pair.primary else set())


def test_everything_there_is_is_scraped(
    region: str, metrics: PrometheusMetrics, running_platform: RunningPlatform
) -> None:
    wanted = expected_targets(running_platform, region)

    def ask() -> dict[tuple[str, str], float]:
        found = metrics.instant("min by (job, service) (up)")
        return {(sample.labels["job"], sample.labels["service"]): sample.value for sample in found}

    seen = eventually(ask, lambda found: set(found) == wanted and all(found.values()))
    assert set(seen) == wanted
    assert [target for target, up in seen.items() if not up] == []
    require_fresh(metrics, running_platform.platform.telemetry.scrape_interval_seconds)


def test_every_series_says_where_it_is_from(
    region: str, metrics: PrometheusMetrics, running_platform: RunningPlatform
) -> None:
    foreign = f'count by (__name__) ({{__name__!="", region!="{region}"}})'
    assert metrics.instant(foreign) == ()
    assert (
        metrics.instant(f'count by (__name__) ({{__name__!="", pair!="{running_platform.pair.name}"}})') == ()
    )
    pods = "|".join(
        (c.JOB_SERVICES, c.JOB_GATEWAY, c.JOB_MEDIA, c.JOB_DATABASE, c.JOB_PROBER, c.JOB_TELEMETRY)
    )
    for label in ("namespace", "service", "pod"):
        unlabelled = metrics.instant(
            f'count by (__name__, job) ({{__name__!~"ALERTS.*|slo:.*", job=~"{pods}", {label}=""}})'
        )
        assert unlabelled == (), label


def test_gateway_series_tell_real_from_synthetic(metrics: PrometheusMetrics) -> None:
    found = metrics.instant("count by (traffic) (haproxy_backend_http_responses_total)")
    assert {sample.labels["traffic"] for sample in found} == {c.TRAFFIC_REAL, c.TRAFFIC_SYNTHETIC}
    assert metrics.instant('haproxy_backend_http_responses_total{proxy=~".+[.].+"}') == ()


def test_the_peer_is_seen(region: str, metrics: PrometheusMetrics, running_platform: RunningPlatform) -> None:
    pair = running_platform.pair
    peer = pair.standby if region == pair.primary else pair.primary
    (sample,) = metrics.instant("vitalops_region_up")
    assert (sample.value, sample.labels["peer"], sample.labels["job"]) == (1.0, peer, c.JOB_PEER)


def test_every_metric_of_the_catalogue_is_there(running_platform: RunningPlatform) -> None:
    metrics = prometheus(running_platform, running_platform.pair.primary)

    def missing() -> list[str]:
        found = {
            sample.labels["__name__"] for sample in metrics.instant('count by (__name__) ({__name__!=""})')
        }
        return [
            metric.name
            for metric in CATALOGUE.values()
            if (f"{metric.name}_bucket" if metric.bounds else metric.name) not in found
        ]

    assert eventually(missing, lambda found: not found) == []


def test_every_kind_of_recorded_series_is_there(running_platform: RunningPlatform) -> None:
    metrics = prometheus(running_platform, running_platform.pair.primary)
    for base in (c.RECORD_EVENTS, c.RECORD_BAD, c.RECORD_RATIO, c.RECORD_OBJECTIVE, c.RECORD_PRESENT):
        query = f'count by (__name__) ({{__name__=~"{base}.*"}})'
        assert eventually(lambda query=query: metrics.instant(query), bool), base
    budgets = eventually(lambda: metrics.instant(f"count({c.RECORD_BUDGET_LEFT})"), bool)
    assert budgets[0].value >= 1


def test_the_rules_that_are_compiled_are_those_that_run(
    region: str, running_platform: RunningPlatform
) -> None:
    found = through(connect(running_platform.platform, Paths.from_environment(), region), Backend.PROMETHEUS)
    compiled = {
        group["name"]: len(group["rules"])
        for text in compile_rules(running_platform.platform, region).values()
        for group in yaml.safe_load(text)["groups"]
    }

    def loaded() -> dict[str, int]:
        groups = found.session.get(f"{found.base_url}/api/v1/rules", timeout=30).json()["data"]["groups"]
        assert [
            rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")
        ] == []
        return {group["name"]: len(group["rules"]) for group in groups}

    # The kubelet brings changed ConfigMaps within a minute and a half.
    assert eventually(loaded, lambda groups: groups == compiled) == compiled


def test_running_settings_are_what_the_tools_accept(region: str, running_platform: RunningPlatform) -> None:
    def inside(pod: str, *command: str) -> str:
        done = running_platform.kubectl(region, "-n", c.NAMESPACE_TELEMETRY, "exec", pod, "--", *command)
        return done.stdout + done.stderr

    checked = inside("prometheus-0", "promtool", "check", "config", "/etc/prometheus/config/prometheus.yml")
    assert "SUCCESS" in checked
    assert "rule files found" in checked
    assert "FAILED" not in checked
    routed = inside("alertmanager-0", "amtool", "check-config", "/etc/alertmanager/config/alertmanager.yml")
    assert "SUCCESS" in routed


def test_last_reloads_succeeded(metrics: PrometheusMetrics) -> None:
    for name in ("prometheus_config_last_reload_successful", "alertmanager_config_last_reload_successful"):
        (sample,) = metrics.instant(name)
        assert sample.value == 1.0, name


def test_alerts_are_shown_from_both_regions(running_platform: RunningPlatform) -> None:
    pair = running_platform.pair
    for region in (pair.primary, pair.standby):
        found = through(
            connect(running_platform.platform, Paths.from_environment(), region), Backend.ALERTMANAGER
        )
        names = {
            alert.labels["alertname"]
            for alert in AlertmanagerAlerts(region, found.base_url, found.session).alerts()
        }
        assert c.ALERT_WATCHDOG in names
    shown = json.loads(running_platform.vitalops("alerts", "--all", "--output", "json").stdout)
    watchdogs = {each["region"] for each in shown["alerts"] if each["name"] == c.ALERT_WATCHDOG}
    assert watchdogs == {pair.primary, pair.standby}
    assert shown["unreachable"] == {}


def test_the_cost_is_bounded(region: str, metrics: PrometheusMetrics) -> None:
    namespaces = f"{c.NAMESPACE_TELEMETRY}|{c.NAMESPACE_AGENTS}"
    (series,) = metrics.instant("prometheus_tsdb_head_series")
    memory = {
        sample.labels["service"]: sample.value / 1e6
        for sample in metrics.instant(
            f'sum by (service) (container_memory_working_set_bytes{{namespace=~"{namespaces}"}})'
        )
    }
    print(
        f"{region}: {series.value:.0f} series in memory; MB: { ({k: round(v) for k, v in memory.items()}) }"
    )
    print(f"{region}: telemetry in all {sum(memory.values()):.0f} MB")
    assert series.value <= MOST_SERIES
    assert memory[c.PROMETHEUS_SERVICE] <= PROMETHEUS_MEGABYTES
    assert sum(memory.values()) <= TELEMETRY_MEGABYTES


def test_what_was_measured_outlives_prometheus(running_platform: RunningPlatform) -> None:
    region = running_platform.pair.standby
    metrics = prometheus(running_platform, region)
    before = datetime.now(UTC) - timedelta(minutes=1)
    query = f'sum(count_over_time(up{{job="{c.JOB_SERVICES}"}}[1m]))'
    (kept,) = metrics.instant(query, before)
    running_platform.kubectl(region, "-n", c.NAMESPACE_TELEMETRY, "delete", "pod", "prometheus-0")
    running_platform.kubectl(
        region, "-n", c.NAMESPACE_TELEMETRY, "rollout", "status", "statefulset/prometheus", "--timeout=180s"
    )
    (again,) = prometheus(running_platform, region).instant(query, before)
    assert again.value == kept.value > 0
