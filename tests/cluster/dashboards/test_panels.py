"""Every panel of every dashboard shows something, asked of the live Prometheus of a region that people use."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from dashboards.check import Outcome, Period, check, questions
from dashboards.kit import REGION
from dashboards.model import Dashboard, Panel, Query, Section, Unit
from infra.operations.observe import Backend, endpoint
from infra.operations.setting import Setting
from infra.program.state import active_region
from tests.cluster.conftest import RunningPlatform
from vitalops.observe.prometheus import PrometheusMetrics
from vitalops.paths import Paths

MOST_SECONDS = 540
"""Budgets are recorded every five minutes: on a platform that has just come up, panels fill one after another."""
PAUSE_SECONDS = 15
MINUTES = 15


@contextmanager
def people(running_platform: RunningPlatform) -> Iterator[None]:
    """A request a moment to every public service, through the edge, until the block ends."""
    over = threading.Event()
    trust = ssl.create_default_context(cafile=str(running_platform.ca_file))
    services = [each.name for each in running_platform.platform.services.values() if each.public]

    def ask() -> None:
        with httpx.Client(base_url=running_platform.edge_url, verify=trust, timeout=10) as client:
            while not over.wait(0.5):
                for name in services:
                    client.get(f"/{name}/openapi.json")

    thread = threading.Thread(target=ask, name="people")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def faults(running_platform: RunningPlatform, *arguments: str) -> list[str]:
    """Panels that would stay empty, as the command names them."""
    asked = ("dashboards", "check", "--minutes", str(MINUTES), "--output", "json", *arguments)
    done = running_platform.vitalops(*asked, check=False)
    assert done.returncode in (0, 1), done.stderr
    findings: list[dict[str, Any]] = [
        each for region in json.loads(done.stdout) for each in region["findings"]
    ]
    named = [
        f"{each['question']['dashboard']}, {each['question']['panel']}"
        f" {each['question']['values'].get('service', '')}: {each['detail']} ({each['question']['expr']})"
        for each in findings
        if each["outcome"] in (Outcome.EMPTY, Outcome.FAILED)
    ]
    assert done.returncode == bool(named)
    return named


@pytest.mark.timeout(MOST_SECONDS + 240)
def test_every_panel_has_data_while_the_platform_is_used(running_platform: RunningPlatform) -> None:
    # A whole consultation, and a monitor's alert with it, long enough for its voice to be judged (over 500
    # packets); on a busy machine a call may fail its quality gate.
    walks = [running_platform.vitalops("verify", "--seconds", "12", check=False)]
    if walks[0].returncode:
        walks.append(running_platform.vitalops("verify", "--seconds", "12", check=False))
    assert walks[-1].returncode == 0, walks[-1].stdout
    until = time.monotonic() + MOST_SECONDS
    with people(running_platform):
        while (empty := faults(running_platform)) and time.monotonic() < until:
            time.sleep(PAUSE_SECONDS)
    assert not empty, "\n".join(empty)


def test_the_standby_shows_its_half_of_the_pair(running_platform: RunningPlatform) -> None:
    pair = running_platform.pair
    active = active_region(Paths.from_environment().state, running_platform.platform.name, pair)
    standby = pair.standby if active == pair.primary else pair.primary
    done = running_platform.vitalops(
        "dashboards", "check", "--region", standby, "--dashboard", "failover-pair", "--output", "json"
    )
    (region,) = json.loads(done.stdout)
    # Not even what may be empty in the active region.
    assert region["data"] == region["queries"] > 0, region["findings"]


def test_a_panel_over_a_metric_that_nobody_exports_is_found(running_platform: RunningPlatform) -> None:
    region = running_platform.pair.primary
    setting = Setting(running_platform.platform, Paths.from_environment(), (region,))
    way = endpoint(setting, region, Backend.PROMETHEUS)

    def panel(title: str, query: str) -> Panel:
        return Panel(title, "It.", Unit.COUNT, (Query(query),))

    made = Dashboard(
        "made-up",
        "Made up",
        "It.",
        (
            Section(
                "s",
                (
                    panel("there", 'up{region=~"$region"}'),
                    panel("nowhere", 'vitalops_no_such_metric{region=~"$region"}'),
                    panel("broken", "sum("),
                ),
            ),
        ),
        (REGION,),
    )
    period = Period(datetime.now(UTC), timedelta(minutes=5), timedelta(seconds=5))
    found = check(
        questions([made], region, (), period), PrometheusMetrics(region, way.base_url, way.session), period
    )
    assert [(each.question.panel, each.outcome) for each in found] == [
        ("there", Outcome.DATA),
        ("nowhere", Outcome.EMPTY),
        ("broken", Outcome.FAILED),
    ]
