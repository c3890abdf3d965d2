"""Services taken away from a running region: who is told, and when."""

from __future__ import annotations

import time

import pytest

from bench.alerting import PAGE_SECONDS
from bench.outage import PAGE, SERVICE, Watched, taken_away, wait_until
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
