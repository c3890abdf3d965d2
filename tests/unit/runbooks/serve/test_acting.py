"""Each incident is acted on exactly once, and its page says what was done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runbooks.engine import testing
from runbooks.engine.boundaries import Boundary, Moment
from runbooks.engine.limits import Busy
from runbooks.engine.model import Risk
from runbooks.engine.runs import RunState
from runbooks.serve.acting import BUSY_SECONDS, Loop, go_on
from runbooks.serve.incidents import IncidentState, incident_id
from runbooks.serve.recording import Recording
from runbooks.serve.store import IncidentStore
from tests.unit.runbooks.serve.conftest import SINCE, Effects, Receiver, Where, counting, notice
from vitalops import conventions as c
from vitalops import halt
from vitalops.errors import RemoteError, UsageError, VitalopsError
from vitalops.evidence.record import Entry, Record, RecordKind
from vitalops.model.platform import Platform
from vitalops.ports.fakes import FakeRunning


def events(receiver: Receiver) -> list[tuple[str, str]]:
    """Of the incidents: (operation, event)."""
    return [
        (entry.record.operation, entry.record.data["event"])
        for entry in receiver.journal.entries()
        if entry.record.operation.startswith("incident-")
    ]


def only(receiver: Receiver) -> Any:
    (found,) = receiver.store.latest(10)
    return found


def test_an_alert_starts_the_runbook_that_is_bound_to_it(receiver: Receiver) -> None:
    assert receiver.take(notice()) == 1
    receiver.settle()
    found = only(receiver)
    assert found.state is IncidentState.STARTED
    assert receiver.effects.done == [found.run]
    run = receiver.engine.run(found.run)
    assert (run.state, run.requester, run.alert) == (RunState.SUCCEEDED, "alertmanager", True)
    assert found.id in run.reason
    assert events(receiver) == [(found.id, "received"), (found.id, "acted")]
    assert receiver.journal.verify()[1] == []


def test_the_same_alert_again_is_the_same_incident(receiver: Receiver) -> None:
    for _ in range(3):
        receiver.take(notice(), notice())
        receiver.settle()
    assert only(receiver).notices == 6
    assert len(receiver.effects.done) == 1
    later = notice()
    assert (
        receiver.take(type(later)(later.fingerprint, SINCE + timedelta(hours=1), None, later.labels, "")) == 1
    )
    receiver.settle()
    assert len(receiver.effects.done) == 2


def test_a_runbook_that_disrupts_waits_for_a_person(
    platform: Platform, tmp_path: Path, effects: Effects
) -> None:
    receiver = Receiver(platform, tmp_path, counting(effects, risk=Risk.DISRUPTS), effects)
    receiver.take(notice())
    receiver.settle()
    found = only(receiver)
    assert (found.state, effects.done) == (IncidentState.FILED, [])
    receiver.engine.approve(found.run, actor="anne")
    receiver.engine.resume(found.run, actor="anne")
    assert effects.done == [found.run]


def test_a_binding_that_does_not_start_is_proposed(
    platform: Platform, tmp_path: Path, effects: Effects
) -> None:
    receiver = Receiver(platform, tmp_path, counting(effects, starts=False), effects)
    receiver.take(notice())
    receiver.settle()
    assert (only(receiver).state, effects.done) == (IncidentState.FILED, [])


@pytest.mark.parametrize(
    ("labels", "state", "detail"),
    [
        ({"alertname": "Another"}, IncidentState.UNANSWERED, "no runbook answers"),
        ({"meant": "no"}, IncidentState.UNANSWERED, "no runbook answers"),
        ({c.METRIC_REGION: "ch-gva"}, IncidentState.REFUSED, "does not belong"),
    ],
)
def test_what_no_runbook_may_answer_is_for_a_person(
    receiver: Receiver, labels: dict[str, str], state: IncidentState, detail: str
) -> None:
    receiver.take(notice(**labels))
    receiver.settle()
    found = only(receiver)
    assert found.state is state
    assert detail in found.detail
    assert receiver.effects.done == []


def test_labels_that_the_runbook_cannot_read(receiver: Receiver) -> None:
    found = notice()
    labels = {name: value for name, value in found.labels.items() if name != c.METRIC_REGION}
    receiver.take(type(found)(found.fingerprint, found.started, None, labels, ""))
    receiver.settle()
    assert only(receiver).state is IncidentState.REFUSED
    assert "cannot read the alert's labels" in only(receiver).detail


def test_the_limit_on_what_alerts_start_is_told(receiver: Receiver) -> None:
    limit = receiver.platform.operations.runs_per_hour
    for number in range(limit + 2):
        receiver.take(notice(number))
        receiver.settle()
    assert len(receiver.effects.done) == limit
    refused = [each for each in receiver.store.latest(100) if each.state is IncidentState.REFUSED]
    assert len(refused) == 2
    assert all(each.detail for each in refused)


def test_an_alert_that_ended_closes_the_incident(receiver: Receiver) -> None:
    ended = SINCE + timedelta(minutes=5)
    receiver.take(notice())
    receiver.settle()
    receiver.take(notice(ended=ended))
    receiver.take(notice(ended=ended))
    receiver.settle()
    assert only(receiver).resolved == ended.timestamp()
    assert receiver.store.latest(10, open_only=True) == []
    assert [event for _, event in events(receiver)] == ["received", "acted", "resolved"]


def test_what_had_ended_before_anything_was_done_is_left_alone(receiver: Receiver) -> None:
    receiver.take(notice(), notice(ended=SINCE + timedelta(minutes=5)))
    receiver.settle()
    assert (only(receiver).state, receiver.effects.done) == (IncidentState.PASSED, [])


def test_while_halted_it_is_stored_and_told_and_acted_on_afterwards(receiver: Receiver) -> None:
    halt.begin(receiver.halt_file, receiver.journal, receiver.clock, "anne", "by hand")
    receiver.take(notice())
    receiver.settle()
    assert (only(receiver).state, receiver.effects.done) == (IncidentState.RECEIVED, [])
    assert "by anne: by hand" in only(receiver).detail
    halt.lift(receiver.halt_file, receiver.journal, "anne", "done")
    receiver.settle()
    assert (only(receiver).state, len(receiver.effects.done)) == (IncidentState.STARTED, 1)


def test_the_watchdog_is_heard_and_no_incident(receiver: Receiver) -> None:
    assert receiver.take(notice(alertname=c.ALERT_WATCHDOG, severity="none")) == 0
    assert receiver.store.heard() == {"fr-par": receiver.clock.now().timestamp()}
    assert receiver.store.latest(10) == []


class Crash(BaseException):
    """The process is gone."""


class CrashingStore(IncidentStore):
    """The process dies when it is about to keep what was done."""

    def acted(self, outcomes: Any) -> None:
        raise Crash


def test_a_crash_between_the_start_and_keeping_it_starts_nothing_twice(receiver: Receiver) -> None:
    receiver.take(notice())
    receiver.store.__class__ = CrashingStore
    with pytest.raises(Crash):
        receiver.acting.act()
    receiver.store.__class__ = IncidentStore
    (run,) = receiver.engine.runs()
    receiver.engine.wait(run.id)
    receiver.begin()
    receiver.settle()
    assert receiver.effects.done == [run.id]
    assert (only(receiver).state, only(receiver).run) == (IncidentState.STARTED, run.id)


def test_a_crash_between_the_journal_and_forgetting_it_writes_nothing_twice(receiver: Receiver) -> None:
    receiver.take(notice())
    receiver.acting.act()
    said = receiver.store.said
    receiver.store.said = lambda numbers: (_ for _ in ()).throw(Crash)  # type: ignore[method-assign]
    with pytest.raises(Crash):
        receiver.recording.record()
    receiver.store.said = said  # type: ignore[method-assign]
    receiver.begin()
    receiver.settle()
    assert events(receiver) == [(only(receiver).id, "received"), (only(receiver).id, "acted")]


def test_what_fails_for_now_is_tried_again(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver.take(notice())
    start = receiver.engine.start

    def lost(*_: Any, **__: Any) -> Any:
        raise RemoteError("the team's database is not reached")

    monkeypatch.setattr(receiver.engine, "start", lost)
    receiver.settle()
    assert only(receiver).state is IncidentState.RECEIVED
    assert "could not be asked for yet: the team's database" in only(receiver).detail
    monkeypatch.setattr(receiver.engine, "start", start)
    receiver.clock.advance(60)
    receiver.settle()
    assert only(receiver).state is IncidentState.STARTED


def test_labels_that_the_journal_must_not_hold_keep_no_incident_out_of_it(receiver: Receiver) -> None:
    receiver.take(notice(contact="jeanne.martin@example.org", birthDate="1970", pod="records-0"))
    receiver.settle()
    text = receiver.journal.path.read_text()
    assert "example.org" not in text
    assert "1970" not in text
    assert "records-0" in text
    assert [event for _, event in events(receiver)] == ["received", "acted"]


def test_one_record_that_is_refused_keeps_no_other_out(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    extend = receiver.journal.extend

    def picky(records: Any) -> list[Entry]:
        kept: tuple[Record, ...] = tuple(records)
        if any("secret-of-the-store" in str(record.data) for record in kept):
            raise UsageError("it holds a secret")
        return extend(kept)

    monkeypatch.setattr(receiver.journal, "extend", picky)
    receiver.take(notice(1, pod="secret-of-the-store"), notice(2))
    receiver.settle()
    assert "secret-of-the-store" not in receiver.journal.path.read_text()
    assert [event for _, event in events(receiver)].count("received") == 2


def test_an_incident_has_the_same_id_everywhere() -> None:
    assert incident_id(notice().key) == incident_id(notice().key) != incident_id(notice(2).key)


def test_what_a_dead_process_left_is_gone_on_with(receiver: Receiver) -> None:
    def die(where: Boundary) -> None:
        if where.moment is Moment.BEFORE_APPLY:
            raise Crash

    dying = testing.engine(
        FakeRunning(receiver.platform, clock=receiver.clock),
        receiver.kept,
        runbooks={receiver.runbook.name: receiver.runbook},
        hook=die,
    )
    with pytest.raises(Crash):
        dying.start(
            receiver.runbook, Where(region="fr-par"), requester="alertmanager", alert=True, key="alert/1"
        )
    receiver.begin()
    assert go_on(receiver.engine) == ()
    receiver.settle()
    (run,) = receiver.engine.runs()
    assert run.state is RunState.SUCCEEDED
    assert receiver.effects.done == [run.id]


def test_a_target_that_another_run_holds_is_waited_for(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.take(notice())
    start = receiver.engine.start

    def busy(*_: Any, **__: Any) -> Any:
        raise Busy("region/fr-par is held by run backup-now-1")

    monkeypatch.setattr(receiver.engine, "start", busy)
    receiver.acting.act()
    assert only(receiver).state is IncidentState.RECEIVED
    assert "waits: region/fr-par is held by run backup-now-1" in only(receiver).detail
    monkeypatch.setattr(receiver.engine, "start", start)
    receiver.acting.act()
    assert only(receiver).state is IncidentState.RECEIVED, "not before its time"
    receiver.clock.advance(BUSY_SECONDS)
    receiver.settle()
    assert only(receiver).state is IncidentState.STARTED


def test_the_loop_goes_on_after_what_it_complains_about() -> None:
    from threading import Event

    told: list[str] = []
    over = Event()
    left = [VitalopsError("one"), KeyError("two")]

    def work() -> bool:
        if left:
            raise left.pop(0)
        over.set()
        return False

    with Loop("working", work, told.append, 0.01) as loop:
        assert over.wait(10)
        loop.wake()
    assert told == ["working: one", "working: KeyError: 'two'"]


def test_nothing_to_record_is_no_work(receiver: Receiver) -> None:
    assert Recording(receiver.store, receiver.journal).record() is False
    assert RecordKind.ALERT not in [entry.record.kind for entry in receiver.journal.entries()]
    assert datetime(2026, 1, 1, tzinfo=UTC) < receiver.clock.now()
