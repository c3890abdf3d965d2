from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from vitalops.ports.clock import Clock, FakeClock, SystemClock, today
from vitalops.ports.progress import Progress, RecordedProgress, SilentProgress


def test_a_fake_clock_goes_only_where_it_is_sent() -> None:
    clock: Clock = FakeClock(datetime(2026, 12, 31, 23, 59, tzinfo=UTC))
    began = clock.monotonic()
    assert today(clock) == date(2026, 12, 31)
    clock.sleep(90)
    assert clock.monotonic() - began == 90
    assert today(clock) == date(2027, 1, 1)


def test_the_system_clock_knows_its_time_zone_and_sleeps() -> None:
    clock: Clock = SystemClock()
    began = clock.monotonic()
    clock.sleep(0.01)
    assert clock.monotonic() - began >= 0.01
    assert clock.now().utcoffset() is not None


def test_progress_is_recorded_in_order() -> None:
    recorded = RecordedProgress()
    progress: Progress = recorded
    progress.step("a")
    progress.step("a", "half")
    progress.done("a", 1.5)
    assert recorded.steps == [("a", ""), ("a", "half")]
    assert recorded.finished == ["a"]


def test_silent_progress_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    progress: Progress = SilentProgress()
    progress.step("a")
    progress.done("a", 1)
    assert capsys.readouterr() == ("", "")
