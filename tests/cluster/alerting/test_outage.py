"""Services taken away from a running region: who is told, and when."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from bench.alerting import PAGE_SECONDS
from bench.outage import PAGE, SERVICE, Watched, taken_away, wait_until
from runbooks.serve.incidents import IncidentState
from tests.cluster.conftest import RunningPlatform
from vitalops import conventions as c

SYNTHETIC = {
    "alertname": c.ALERT_BURN,
    c.METRIC_SLO: "consultation-synthetic-consultation",
    c.METRIC_SEVERITY: c.SEVERITY_PAGE,
    c.METRIC_TRAFFIC: c.TRAFFIC_SYNTHETIC,
}
SETTLED_SECONDS = 400.0
SYNTHETIC_SECONDS = 400.0
"""At a walk every ten seconds, most of an hour of good ones may have to be outweighed."""


@pytest.mark.timeout(900)
def test_at_night_the_prober_notices_what_no_patient_does(
    platform_with_pager: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    pager = platform_with_pager.pager
    # A page that is there already cannot come: walks that failed on and off in the last hours keep one going.
    wait_until(
        "the last page for synthetic consultations ends",
        lambda: not pager.pending(SYNTHETIC),
        SETTLED_SECONDS,
    )
    away = time.time()
    platform_with_pager.scale(SERVICE, 0)
    try:
        notice = pager.wait_for(SYNTHETIC, "firing", SYNTHETIC_SECONDS, since=away)
    finally:
        platform_with_pager.scale(SERVICE, 1)
    with capsys.disabled():
        print(
            f"\nwithout real traffic: paged for failing synthetic consultations after {notice.at - away:.1f} s"
        )
    assert notice.labels[c.METRIC_REGION] == platform_with_pager.region
    # Nobody asked the service itself, so that its own objective has nothing to say.
    assert not pager.about(PAGE, "firing", since=away)


@pytest.mark.timeout(900)
def test_an_outage_pages_whoever_is_on_call(
    platform_with_pager: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its end takes five minutes more: bench/outage.py waits for it, and promtool tells it in tests/cluster/slo."""
    seconds, _ = taken_away(platform_with_pager)
    pager = platform_with_pager.pager
    with capsys.disabled():
        print(f"\nfull outage of {SERVICE}: paged {seconds:.1f} s after the first failed request")
    assert seconds <= PAGE_SECONDS
    assert pager.refused == 0
    (page,) = {
        (each.labels[c.METRIC_REGION], each.labels[c.METRIC_RUNBOOK]) for each in pager.about(PAGE, "firing")
    }
    assert page == (platform_with_pager.region, "service-rollback")


def test_the_same_page_is_an_incident_with_a_page_in_the_journal(
    platform_with_pager: Watched, running_platform: RunningPlatform
) -> None:
    """After the outage: what Alertmanager told the pager it told `vitalops runbook serve` too."""

    def told(kind: str) -> list[dict[str, Any]]:
        found = running_platform.vitalops(
            "evidence", "show", "--kind", kind, "--since", "30m", "--output", "json"
        )
        return [entry["record"] for entry in json.loads(found.stdout)]

    def pages() -> list[str]:
        return [each["operation"] for each in told("alert") if PAGE.items() <= each["data"]["labels"].items()]

    wait_until("the page is in the journal", pages, 60)
    region = {each["target"] for each in told("alert") if each["operation"] in pages()}
    assert region == {f"region/{platform_with_pager.region}"}
    *_, incident = dict.fromkeys(pages())

    def acted() -> dict[str, dict[str, Any]]:
        return {
            each["operation"]: each["data"] for each in told("incident") if each["data"]["event"] == "acted"
        }

    wait_until("something is done about it", lambda: incident in acted(), 60)
    assert acted()[incident]["outcome"] == IncidentState.FILED, (
        "service-rollback answers, when a person agrees"
    )
    for data in acted().values():
        if data["outcome"] == IncidentState.FILED:
            reason = ("--reason", "the outage was made by a test")
            running_platform.vitalops("runbook", "reject", data["run"], *reason, check=False)
    running_platform.vitalops("evidence", "verify")
