"""The ladder of calls: entry, exit, hysteresis; and the run that steps it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.common.indicators import WINDOW, Reading
from runbooks.common.ladder import (
    HOLD_SECONDS,
    LONGEST_HOLD_SECONDS,
    SETTLE_SECONDS,
    Standing,
    entry,
    good,
    next_standing,
)
from runbooks.video_degradation import RUNBOOK, DegradationParameters, _from_alert
from tests.unit.runbooks.drive import FACTS, Drive
from vitalops.conventions import RECORD_EVENTS, RECORD_RATIO
from vitalops.errors import RemoteError, UsageError
from vitalops.model.platform import Platform
from vitalops.ports.fakes import FakeRunning
from vitalops.ports.media import Call, CallMode, FakeMedia
from vitalops.ports.metrics import FakeMetrics, Sample

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BAD, MIDDLING, FINE, NOBODY, FEW = (
    Reading(0.3, 20),
    Reading(0.1, 20),
    Reading(0.01, 20),
    Reading(None, 0),
    Reading(1.0, 2),
)


def test_entry_and_exit_leave_a_band_in_which_nothing_happens() -> None:
    assert [entry(each) for each in (BAD, MIDDLING, FINE, NOBODY, FEW)] == [True, False, False, False, False]
    assert [good(each) for each in (BAD, MIDDLING, FINE, NOBODY, FEW)] == [False, False, True, True, False]
    for mode in CallMode:
        standing = Standing(mode, 0.0)
        assert next_standing(standing, MIDDLING, 1e6, None) is standing


def test_the_next_rung_waits_until_the_window_shows_this_one() -> None:
    standing = Standing(CallMode.LOW, 0.0)
    assert next_standing(standing, BAD, SETTLE_SECONDS - 1, None) is standing
    assert next_standing(standing, BAD, SETTLE_SECONDS, None).mode is CallMode.AUDIO


def test_a_better_rung_is_tried_when_all_has_been_well_for_the_hold() -> None:
    standing = Standing(CallMode.AUDIO, 0.0)
    assert next_standing(standing, FINE, HOLD_SECONDS, 1.0) is standing
    assert next_standing(standing, FINE, HOLD_SECONDS + 1, 1.0).mode is CallMode.LOW
    assert next_standing(Standing(CallMode.CALLBACK, 0.0), NOBODY, HOLD_SECONDS, 0.0).mode is CallMode.AUDIO


def test_a_rung_that_had_to_be_left_again_is_tried_later() -> None:
    climbed = replace(Standing(CallMode.LOW, 0.0), climbed=True)
    fell = next_standing(climbed, BAD, SETTLE_SECONDS, None)
    assert (fell.mode, fell.hold) == (CallMode.AUDIO, 2 * HOLD_SECONDS)


@given(
    st.lists(st.tuples(st.sampled_from([BAD, MIDDLING, FINE, NOBODY, FEW]), st.floats(1, 2000)), max_size=30)
)
def test_it_goes_one_rung_at_a_time_and_never_faster_than_it_can_see(
    looks: list[tuple[Reading, float]],
) -> None:
    standing, at, since = Standing(CallMode.VIDEO, 0.0), 0.0, None
    for reading, passed in looks:
        at += passed
        since = (at if since is None else since) if good(reading) else None
        after = next_standing(standing, reading, at, since)
        if after.mode is not standing.mode:
            assert abs(after.mode.rung - standing.mode.rung) == 1
            assert at - standing.since >= SETTLE_SECONDS
        assert after.hold <= LONGEST_HOLD_SECONDS
        standing = after


def drive(platform: Platform, quality: Reading = NOBODY, **parameters: object) -> Drive:
    metrics = FakeMetrics("fr-par")
    medias = {region: FakeMedia(region) for region in ("fr-par", "fr-gra")}
    medias["fr-par"].running["r"] = Call("r", 2, 0.0)
    running = FakeRunning(platform, measured={"fr-par": metrics}, medias=dict(medias))
    show(metrics, quality)
    facts = replace(FACTS, started=running.clock.now().timestamp())
    return Drive(RUNBOOK, DegradationParameters(pair="france", **parameters), running, facts)  # type: ignore[arg-type]


def show(metrics: FakeMetrics, quality: Reading) -> None:
    labels = '{sli="media-quality",service="consultation"}'
    metrics.instants = {
        f"max({RECORD_RATIO}{WINDOW}{labels})": ()
        if quality.bad is None
        else (Sample({}, quality.bad, NOW),),
        f"sum({RECORD_EVENTS}{WINDOW}{labels})": (Sample({}, quality.events or 0.0, NOW),),
    }


def modes(run: Drive) -> list[CallMode]:
    return run.running.call_modes(run.running.platform.pairs["france"]).set_to


def media(run: Drive, region: str = "fr-par") -> FakeMedia:
    found = run.running.media(region)
    assert isinstance(found, FakeMedia)
    return found


def test_bad_calls_step_down_one_rung_and_running_ones_keep_to_it(platform: Platform) -> None:
    run = drive(platform, BAD).run()
    assert modes(run) == [CallMode.LOW]
    assert media(run).limited == media(run, "fr-gra").limited == [CallMode.LOW]
    assert run.outputs["limit"]["participants"] == 2
    assert not run.check("step").needed
    run.undo("step")
    run.undo("step")
    assert modes(run)[-1] is CallMode.VIDEO
    assert media(run).limited[-1] is CallMode.VIDEO


def test_good_calls_are_left_alone(platform: Platform) -> None:
    run = drive(platform, MIDDLING).run()
    assert modes(run) == media(run).limited == []


def test_a_rung_that_is_named_is_gone_to(platform: Platform) -> None:
    run = drive(platform, FINE, mode="callback").run()
    assert modes(run) == [CallMode.CALLBACK]


def test_a_lost_region_holds_nothing_up(platform: Platform) -> None:
    run = drive(platform, BAD)
    media(run, "fr-gra").fails_with = lambda: RemoteError("region fr-gra: no answer")
    run.run()
    assert run.outputs["limit"]["unreached"] == ["fr-gra"]


def test_it_follows_down_and_up_again(platform: Platform) -> None:
    run = drive(platform, BAD, follow_minutes=120)
    clock = run.running.clock

    class Going(FakeMetrics):
        def instant(self, query: str, at: object = None) -> tuple[Sample, ...]:
            del at
            show(self, BAD if clock.elapsed < SETTLE_SECONDS + 60 else FINE)
            return FakeMetrics.instant(self, query)

    run.running.measured["fr-par"] = Going("fr-par")
    run.run()
    assert modes(run) == [CallMode.LOW, CallMode.AUDIO, CallMode.LOW, CallMode.VIDEO]
    assert run.outputs["follow"]["mode"] == "video"
    assert 2 * HOLD_SECONDS < clock.elapsed < 3600


def test_following_ends_with_its_time(platform: Platform) -> None:
    run = drive(platform, MIDDLING, mode="audio", follow_minutes=5).run()
    assert run.outputs["follow"] == {"mode": "audio", "steps": []}
    assert 300 <= run.running.clock.elapsed < 360


def test_a_burning_budget_of_quality_starts_it(platform: Platform) -> None:
    labels = {"runbook": "video-degradation", "region": "fr-gra"}
    assert _from_alert(labels, platform) == DegradationParameters(pair="france", follow_minutes=60)
    assert _from_alert(labels | {"runbook": "scale-out"}, platform) is None
    with pytest.raises(UsageError, match="there is no pair mars"):
        RUNBOOK.targets(DegradationParameters(pair="mars"), platform)
