"""The page part of bench/alerting.py, with six hours of history; the end of the page takes five minutes more there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bench.alerting import PAGE, PAGE_SECONDS, RATE, page_of, scene, warm_up
from vitalops import conventions as c


def test_a_full_outage_pages_in_time_however_healthy_the_hours_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with scene(tmp_path) as here:
        warm_up(here.pager)
        failed = here.gateway.fail()
        seconds = page_of(here.pager, failed)
        time.sleep(2)
        notices = here.pager.about(PAGE, "firing")
    with capsys.disabled():
        print(f"\nfull outage at {RATE:g} requests/s after six healthy hours: paged after {seconds:.1f} s")
    assert seconds <= PAGE_SECONDS
    assert len(notices) == 1, "one incident, one page"
    assert notices[0].labels[c.METRIC_TRAFFIC] == c.TRAFFIC_REAL
    assert notices[0].labels[c.METRIC_RUNBOOK] == "service-rollback"
    assert here.pager.refused == 0
