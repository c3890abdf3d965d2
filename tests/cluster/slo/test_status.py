"""`vitalops slo status` against real Prometheus processes over histories that were made for the test.

A month's arithmetic in three days: a sample a minute, so that what is counted is known to the event.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bench.tsdb import DAY_SECONDS, Recorded, Served, free_port, prometheus, write_blocks
from tests.cluster.conftest import VITALOPS, vitalops
from vitalops import conventions as c

MINUTES = 3 * 24 * 60
"""Of the window that is asked for."""
AHEAD = 3600
"""Seconds into the future that the histories reach, so that there is data of now while the tests run."""


@dataclass(frozen=True)
class History:
    """What one objective counted: events each minute, and the bad ones by how many minutes ago."""

    slo: str
    service: str
    events: int
    bad: dict[int, int]
    hour: tuple[float, float] | None = None
    traffic: str = c.TRAFFIC_REAL
    ended: int = -AHEAD
    """Seconds ago."""


pytestmark = pytest.mark.usefixtures("histories")


FR_PAR = (
    # 3 days of 10 a minute are 43,200 events: 216 may be bad at 99.5 %, and 54 are.
    History("audit-answered", "audit", 10, {4000: 30, 100: 24}, (600, 6)),
    History("audit-prompt", "audit", 10, {}, (600, 0)),
    # 43.2 may be bad at 99.9 %.
    History("identity-answered", "identity", 10, {200: 44}, (600, 0)),
    History("identity-prompt", "identity", 10, {}, (600, 0)),
    History("consent-answered", "consent", 10, {2000: 10}, (600, 0), ended=1200),
    History("consent-prompt", "consent", 10, {}, (600, 0)),
    History("records-answered", "records", 0, {}, (0, 0)),
    History("records-prompt", "records", 0, {}, (0, 0)),
    # As many synthetic events, all of them bad, must change nothing.
    History("audit-answered", "audit", 10, dict.fromkeys(range(500), 10), (600, 600), c.TRAFFIC_SYNTHETIC),
)
FR_GRA = (
    History("audit-answered", "audit", 30, {}, (1800, 0)),
    History("audit-prompt", "audit", 30, {}, (1800, 0)),
)


def series(
    region: str, histories: tuple[History, ...], begin: float, end: float, now: float
) -> Iterator[Recorded]:
    for history in histories:
        labels = {
            c.METRIC_SLO: history.slo,
            c.METRIC_SERVICE: history.service,
            c.METRIC_REGION: region,
            c.METRIC_TRAFFIC: history.traffic,
        }
        until = min(end, now - history.ended)
        moments = [begin + 60 * minute for minute in range(max(int((until - begin) / 60), 0))]
        bad = {now - 60 * ago: count for ago, count in history.bad.items()}
        yield Recorded(f"{c.RECORD_EVENTS}1m", labels, [(at, history.events) for at in moments])
        yield Recorded(f"{c.RECORD_BAD}1m", labels, [(at, bad.get(at, 0)) for at in moments])
        if history.hour and end > now:
            recent = [now - 600 + 60 * minute for minute in range((AHEAD + 600) // 60)]
            for window, times in (("1h", 1), ("6h", 6)):
                for base, count in zip((c.RECORD_EVENTS, c.RECORD_BAD), history.hour, strict=True):
                    yield Recorded(f"{base}{window}", labels, [(at, count * times) for at in recent])


def history_of(folder: Path, region: str, histories: tuple[History, ...], *, ended: int = -AHEAD) -> Path:
    """Blocks of four days. Bad events are a minute and more in the past; the last scrape is `ended` seconds ago."""
    now = time.time() // 60 * 60
    if ended > 0:
        histories = tuple(replace(history, ended=ended) for history in histories)
    for back in range(4, 0, -1):
        write_blocks(
            folder, series(region, histories, now - back * DAY_SECONDS, now - (back - 1) * DAY_SECONDS, now)
        )
    up = Recorded(
        "up",
        {"job": c.JOB_SERVICES, c.METRIC_REGION: region},
        [(now - 1200 + 5 * place, 1.0) for place in range((1200 - ended) // 5)],
    )
    if ended < 0:
        write_blocks(folder, [*series(region, histories, now, now + AHEAD, now), up])
    else:
        write_blocks(folder, [up])
    return folder


@pytest.fixture(scope="module")
def par(tmp_path_factory: pytest.TempPathFactory, histories: None) -> Iterator[Served]:
    with prometheus(history_of(tmp_path_factory.mktemp("par") / "data", "fr-par", FR_PAR)) as served:
        yield served


@pytest.fixture(scope="module")
def gra(tmp_path_factory: pytest.TempPathFactory, histories: None) -> Iterator[Served]:
    with prometheus(history_of(tmp_path_factory.mktemp("gra") / "data", "fr-gra", FR_GRA)) as served:
        yield served


def asked(*arguments: str) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Exit status, the whole report, and its objectives by name."""
    done = vitalops("slo", "status", "--window", "3d", "--output", "json", *arguments, check=False)
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    return done.returncode, report, {each["slo"]: each for each in report["slos"]}


def test_one_region_by_hand(par: Served) -> None:
    status, report, found = asked("--region", "fr-par", "--service", "audit", "--prometheus", par.url)
    assert status == 0, report
    answered = found["audit-answered"]
    assert answered["events"] == 10 * MINUTES
    assert answered["bad"] == 54
    assert answered["attained"] == pytest.approx(1 - 54 / 43_200)
    assert answered["budget_left"] == pytest.approx(0.75)
    assert answered["burn_1h"] == pytest.approx(6 / 600 / 0.005)
    assert answered["exhausted_in"] == pytest.approx(0.75 * 3 * DAY_SECONDS / 2)
    assert answered["state"] == "burning"
    assert answered["covered"] == pytest.approx(1, abs=0.001)
    assert answered["history"][0] == 1.0
    assert answered["history"][10] == pytest.approx(1 - 30 / 216)
    assert answered["history"][-1] == pytest.approx(0.75)
    assert found["audit-prompt"]["state"] == "ok"
    assert found["audit-prompt"]["budget_left"] == 1.0


def test_a_pair_is_weighted_by_its_traffic(par: Served, gra: Served) -> None:
    """Bad are 54 of 172,800, of which 864 may be."""
    named = ("--prometheus", f"fr-par={par.url}", "--prometheus", f"fr-gra={gra.url}")
    status, report, found = asked("--pair", "france", "--service", "audit", *named)
    assert status == 0, report
    assert found["audit-answered"]["events"] == 40 * MINUTES
    assert found["audit-answered"]["budget_left"] == pytest.approx(1 - 54 / 864)
    assert found["audit-answered"]["burn_1h"] == pytest.approx(6 / 2400 / 0.005)
    assert found["audit-answered"]["exhausted_in"] is None
    assert found["audit-answered"]["missing"] == {}


def test_a_spent_budget_is_a_finding(par: Served) -> None:
    status, report, found = asked("--region", "fr-par", "--service", "identity", "--prometheus", par.url)
    assert status == 1
    assert report["verdict"] == "exhausted"
    assert found["identity-answered"]["state"] == "exhausted"
    assert found["identity-answered"]["budget_left"] == pytest.approx(1 - 44 / 43.2)
    assert found["identity-answered"]["exhausted_in"] == 0


def test_series_that_went_missing_are_frozen_by_name(par: Served) -> None:
    status, _, found = asked("--region", "fr-par", "--service", "consent", "--prometheus", par.url)
    assert status == 3
    assert found["consent-answered"]["state"] == "frozen"
    assert found["consent-answered"]["bad"] == 10
    assert found["consent-answered"]["burn_1h"] is None
    assert found["consent-prompt"]["state"] == "ok"


def test_no_traffic_is_neither_zero_nor_all(par: Served) -> None:
    status, _, found = asked("--region", "fr-par", "--service", "records", "--prometheus", par.url)
    assert status == 0
    for each in found.values():
        assert each["state"] == "no-traffic"
        assert (each["attained"], each["budget_left"], each["burn_1h"]) == (None, None, None)


def test_what_was_never_measured_is_absent_by_name(par: Served) -> None:
    status, _, found = asked("--region", "fr-par", "--service", "payment", "--prometheus", par.url)
    assert status == 3
    assert {each["state"] for each in found.values()} == {"absent"}
    shown = vitalops(
        "slo", "status", "--region", "fr-par", "--service", "payment", "--prometheus", par.url, check=False
    )
    assert "absent" in shown.stdout
    assert "%" not in shown.stdout.replace("99.5%", "").replace("98%", "")


def test_a_dead_region_is_named_and_the_other_shown(par: Served) -> None:
    dead = f"fr-gra=http://127.0.0.1:{free_port()}"
    named = ("--prometheus", f"fr-par={par.url}", "--prometheus", dead)
    status, report, found = asked("--pair", "france", "--service", "audit", *named)
    assert status == 3
    assert report["verdict"] == "incomplete"
    assert [source["reachable"] for source in report["sources"]] == [True, False]
    assert "fr-gra" in report["sources"][1]["problem"]
    assert found["audit-answered"]["budget_left"] == pytest.approx(0.75)
    assert found["audit-answered"]["missing"] == {"fr-gra": "unreachable"}
    shown = vitalops("slo", "status", "--pair", "france", "--service", "audit", *named, check=False)
    assert "unreachable  region fr-gra" in shown.stdout
    assert "without fr-gra unreachable" in shown.stdout


def test_data_that_ended_is_stale_since_then(tmp_path: Path) -> None:
    folder = history_of(tmp_path / "data", "fr-par", FR_PAR, ended=600)
    ended = time.time() // 60 * 60
    with prometheus(folder) as served:
        arguments = ("--region", "fr-par", "--service", "audit", "--prometheus", served.url)
        status, report, found = asked(*arguments)
        shown = vitalops("slo", "status", "--window", "3d", *arguments, check=False)
    assert status == 3
    assert report["sources"][0]["stale"] == ["fr-par"]
    assert {each["state"] for each in found.values()} == {"stale"}
    assert found["audit-answered"]["bad"] == 54
    assert "stale  region fr-par: its newest data is of " in shown.stdout
    assert report["sources"][0]["newest"]["fr-par"][:10] == time.strftime("%Y-%m-%d", time.gmtime(ended - 60))


def test_an_empty_prometheus_is_absent_not_perfect(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with prometheus(folder) as served:
        status, _, found = asked("--region", "fr-par", "--prometheus", served.url)
    assert status == 3
    assert {each["state"] for each in found.values()} == {"absent"}


def test_something_that_is_no_prometheus(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<html>hello</html>")
    port = free_port()
    command = ["python3", "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    server = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        url = f"http://127.0.0.1:{port}"
        status, report, _ = asked("--region", "fr-par", "--service", "audit", "--prometheus", url)
    finally:
        server.terminate()
        server.wait(timeout=10)
    assert status == 3
    assert "404" in report["sources"][0]["problem"]


def test_eighty_columns_without_colours_lose_no_state(par: Served) -> None:
    environment = {"COLUMNS": "80", "NO_COLOR": "1", "PATH": "/usr/bin:/bin", "HOME": "/root"}
    done = subprocess.run(
        [str(VITALOPS), "slo", "status", "--region", "fr-par", "--window", "3d", "--prometheus", par.url],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert max(len(line) for line in lines if line[:1].isupper() or line.startswith(("ok", "burning"))) <= 80
    assert lines[1].startswith("EXHAUSTED")
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--window", "400d"), "retention_days"),
        (("--window", "5m"), "1h"),
        (("--window", "week"), "7d"),
        (("--service", "recods"), "records"),
        (("--region", "fr-prr"), "fr-par"),
        (("--prometheus", "localhost"), "no URL"),
        (("--prometheus", "xx=http://localhost"), "unknown region"),
        (("--region", "fr-par", "--pair", "france"), "exclude"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: tuple[str, ...], words: str) -> None:
    done = vitalops("slo", "status", *arguments, check=False)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
