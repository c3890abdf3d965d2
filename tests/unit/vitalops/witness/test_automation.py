"""What is done about a loss, and what is not."""

from __future__ import annotations

from tests.unit.vitalops.witness.fakes import LOST, FakeFailovers, FakeLog, automation
from vitalops.detection.machine import Assessment, Blind, Healthy, Split, Suspect, Word
from vitalops.evidence.record import MemoryJournal, RecordKind
from vitalops.model.failover import FailoverMode
from vitalops.ports.clock import FakeClock
from vitalops.witness.automation import NOTICE_SECONDS, RETRY_SECONDS, Automation, Filed

HERE, THERE = "fr-par", "fr-gra"


def considered(made: Automation, found: Assessment, *, active: str = HERE, token: int = 1) -> bool:
    return made.consider(found, active, THERE if active == HERE else HERE, token)


def failovers(made: Automation) -> FakeFailovers:
    assert isinstance(made.failovers, FakeFailovers)
    return made.failovers


def journal(made: Automation) -> MemoryJournal:
    assert isinstance(made.journal, MemoryJournal)
    return made.journal


def lines(made: Automation) -> list[str]:
    assert isinstance(made.log, FakeLog)
    return made.log.lines


def advance(made: Automation, seconds: float) -> None:
    assert isinstance(made.clock, FakeClock)
    made.clock.advance(seconds)


def test_a_loss_is_recorded_and_failed_over_once() -> None:
    made = automation()
    withheld = [considered(made, LOST) for _ in range(20)]
    assert withheld == [True] * 20
    ((loss, unattended),) = failovers(made).filed
    assert unattended
    assert (loss.region, loss.other, loss.decided - loss.silent_since) == (HERE, THERE, 5.0)
    (entry,) = journal(made).kept
    assert entry.record.kind is RecordKind.OBSERVED
    assert entry.record.actor == "witness"
    assert entry.record.data["words"][0]["vantage"] == "witness -> fr-par guard"
    assert lines(made) == ["fr-par is lost; region-failover-1 makes fr-gra active"]


def test_where_a_person_decides_it_is_filed_and_says_how_to_approve() -> None:
    made = automation(FailoverMode.APPROVAL)
    assert not any(considered(made, LOST) for _ in range(5))
    assert [unattended for _, unattended in failovers(made).filed] == [False]
    assert lines(made) == [
        "fr-par is lost; region-failover-1 waits: vitalops runbook approve region-failover-1"
    ]


def test_a_run_that_somebody_filed_is_not_filed_again() -> None:
    made = automation()
    failovers(made).there = Filed("region-failover-9", waits=False)
    assert considered(made, LOST)
    assert failovers(made).filed == []


def test_what_is_refused_is_asked_again_but_not_all_the_time_and_recorded_once() -> None:
    made = automation()
    failovers(made).refuses = "everything is halted"
    assert not any(considered(made, LOST) for _ in range(10))
    assert lines(made) == ["fr-par is lost; failing over is refused: everything is halted"]
    failovers(made).refuses = ""
    assert not considered(made, LOST)
    advance(made, RETRY_SECONDS)
    assert considered(made, LOST)
    assert journal(made).kinds() == [RecordKind.OBSERVED]


def test_a_failed_run_is_not_tried_again_until_the_region_was_back() -> None:
    made = automation()
    considered(made, LOST)
    failovers(made).endings["region-failover-1"] = "failed-stopped"
    advance(made, 60)
    assert not considered(made, LOST)
    assert len(failovers(made).filed) == 1
    assert "a person must look at it" in lines(made)[-1]
    considered(made, Healthy())
    advance(made, 60)
    assert considered(made, LOST)
    assert len(failovers(made).filed) == 2


def test_a_newly_active_region_is_not_refused_leave_and_can_be_lost_in_its_turn() -> None:
    made = automation()
    assert considered(made, LOST)
    assert not considered(made, Suspect(0.5, ()), active=THERE, token=2)
    # The first run goes on: nothing new is filed before it has ended.
    advance(made, 60)
    assert not considered(made, LOST, active=THERE, token=2)
    failovers(made).endings["region-failover-1"] = "succeeded"
    assert considered(made, LOST, active=THERE, token=2)
    assert [loss.token for loss, _ in failovers(made).filed] == [1, 2]


def test_an_acting_run_keeps_leave_refused_though_the_region_answers_again() -> None:
    made = automation()
    considered(made, LOST)
    assert considered(made, Healthy())
    failovers(made).endings["region-failover-1"] = "failed-undone"
    assert not considered(made, Healthy())


def test_blindness_and_suspicion_do_nothing_but_say_so_once() -> None:
    made = automation()
    for _ in range(3):
        considered(made, Blind(9.0))
    for _ in range(3):
        considered(made, Suspect(2.0, (Word("edge -> fr-par gateway", False, 0.0),)))
        advance(made, NOTICE_SECONDS)
    considered(made, Healthy())
    considered(made, Suspect(0.5, (Word("edge -> fr-par gateway", False, 0.0),)))
    considered(made, Healthy())
    assert lines(made) == [
        "neither region is reached from here: nothing is done",
        "fr-par: no answer along edge -> fr-par gateway",
        "fr-par: everybody reaches it",
    ]
    assert failovers(made).filed == []
    assert journal(made).kept == []


def test_a_split_is_recorded_once_and_left_to_a_person() -> None:
    made = automation()
    for _ in range(3):
        considered(made, Split((HERE, THERE)))
    (entry,) = journal(made).kept
    assert entry.record.reason == "fr-par and fr-gra both take writes"
    assert failovers(made).filed == []


def test_what_an_earlier_witness_left_goes_on_and_nothing_else_is_filed_meanwhile() -> None:
    made = automation()
    failovers(made).left = "region-failover-4"
    made.take_up()
    assert lines(made) == ["region-failover-4 goes on"]
    considered(made, LOST)
    assert failovers(made).filed == []
    failovers(made).endings["region-failover-4"] = "failed-stopped"
    advance(made, 60)
    assert considered(made, LOST)


def test_where_a_person_decides_nothing_is_taken_up() -> None:
    made = automation(FailoverMode.APPROVAL)
    failovers(made).left = "region-failover-4"
    made.take_up()
    assert lines(made) == []


def test_what_cannot_go_on_is_said() -> None:
    made = automation()
    failovers(made).refuses = "everything is halted"
    made.take_up()
    assert lines(made) == ["a failover that was left cannot go on: everything is halted"]
