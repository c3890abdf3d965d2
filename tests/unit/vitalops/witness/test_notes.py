"""What the witness knows, and what it tells the guards."""

from __future__ import annotations

from dataclasses import replace

from vitalops.detection.machine import Healthy, Limits, Lost
from vitalops.detection.sights import Part, Place, Vantage
from vitalops.fencing.report import GuardReport, Sight
from vitalops.ports.clock import FakeClock
from vitalops.witness.notes import Notes

HERE, THERE = "fr-par", "fr-gra"
OWN = tuple(Vantage(Place.WITNESS, part, HERE) for part in Part)
OTHER = Vantage(Place.WITNESS, Part.GUARD, THERE)


def notes(clock: FakeClock) -> Notes:
    return Notes.begin("france", (HERE, THERE), HERE, Limits(4.0), clock)


def report(place: str, *, token: int = 5, active: str = HERE, sees: tuple[Sight, ...] = ()) -> GuardReport:
    primary = place == active
    role = "primary" if primary else "standby"
    return GuardReport(
        "france", place, token, active, role, primary, "", "synchronous", True, 0, sees, clock=1.0
    )


def looked(kept: Notes, clock: FakeClock, *, dead: bool, silent: float = 0.0) -> None:
    now = clock.monotonic()
    for vantage in (*OWN, OTHER):
        kept.trying(vantage, now)
    kept.hearing(OTHER, now, report(THERE, sees=(Sight(HERE, not dead, silent),)))
    if not dead:
        for vantage in OWN:
            kept.hearing(vantage, now, report(HERE) if vantage.part is Part.GUARD else None)


def test_a_lost_region_is_found_by_what_was_heard() -> None:
    clock = FakeClock()
    kept = notes(clock)
    for _ in range(6):
        looked(kept, clock, dead=False)
        clock.advance(0.5)
    assert kept.assess() == Healthy()
    for turn in range(14):
        looked(kept, clock, dead=True, silent=turn * 0.5)
        kept.ruling("edge", clock.monotonic(), {HERE: False, THERE: True})
        clock.advance(0.4)
        clock.advance(0.1)
    assert isinstance(kept.assess(), Lost)


def test_the_active_guard_is_given_leave_and_the_count_of_it_is_told() -> None:
    clock = FakeClock()
    kept = notes(clock)
    clock.advance(3)
    told = kept.report_to("")
    assert told is not None
    assert (told.place, told.renewed, told.active) == ("witness", 3.0, HERE)
    assert kept.report_to(THERE) is not None
    given = kept.report_to(HERE)
    assert given is not None
    assert given.renewed == 3.0, "the other region never had any"
    clock.advance(2)
    told = kept.report_to(THERE)
    assert told is not None
    assert told.renewed == 2.0


def test_a_region_found_lost_is_refused_leave_and_the_count_goes_on() -> None:
    clock = FakeClock()
    kept = notes(clock)
    kept.withheld = True
    clock.advance(4)
    assert kept.report_to(HERE) is None
    told = kept.report_to(THERE)
    assert told is not None
    assert told.renewed == 4.0


def test_a_newer_token_turns_everything() -> None:
    clock = FakeClock()
    kept = notes(clock)
    kept.withheld = True
    clock.advance(4)
    kept.hearing(OTHER, clock.monotonic(), report(THERE, token=9, active=THERE))
    assert (kept.watch.active, kept.watch.standby, kept.watch.token) == (THERE, HERE, 9)
    assert kept.withheld is False
    clock.advance(1)
    for _ in range(2):
        told = kept.report_to(THERE)
        assert told is not None
        # Its own leave does not count: it asks for how long the region that it took over from has had none.
        assert (told.active, told.token, told.renewed) == (THERE, 9, 5.0)


def test_another_pairs_report_is_not_listened_to() -> None:
    clock = FakeClock()
    kept = notes(clock)
    kept.hearing(OTHER, 0.0, replace(report(THERE, token=9, active=THERE), pair="switzerland"))
    assert kept.watch.token == -1


def test_of_two_edges_the_one_that_reaches_the_region_counts() -> None:
    clock = FakeClock()
    kept = notes(clock)
    kept.ruling("edge", 0.0, {HERE: True})
    kept.ruling("dns", 0.1, {HERE: False})
    assert kept.watch.sights[Vantage(Place.EDGE, Part.GATEWAY, HERE)].reached
    kept.ruling("dns", 0.7, {HERE: False})
    assert not kept.watch.sights[Vantage(Place.EDGE, Part.GATEWAY, HERE)].reached


def test_what_is_seen_of_both_regions_is_told() -> None:
    clock = FakeClock()
    kept = notes(clock)
    looked(kept, clock, dead=True)
    clock.advance(1.0)
    told = kept.report_to("")
    assert told is not None
    assert told.sees == (Sight(HERE, False, 1.0), Sight(THERE, True, 0.0))
