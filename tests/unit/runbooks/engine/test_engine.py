"""Asking, deciding, limiting: what the engine allows and what it says when it does not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from runbooks.engine.engine import Engine
from runbooks.engine.model import Risk, Runbook, Step, StepContext, Target, Verdict
from runbooks.engine.plan import Due
from runbooks.engine.runs import RunState
from runbooks.engine.testing import Kept, engine
from tests.unit.runbooks.engine.trial import TrialParameters, World, step, trial
from vitalops.errors import GateFailed, RemoteError, UsageError
from vitalops.evidence.record import RecordKind
from vitalops.model.platform import Platform
from vitalops.ports.clock import FakeClock
from vitalops.ports.fakes import FakeRunning
from vitalops.ports.metrics import FakeMetrics, Sample

PARAMETERS = TrialParameters()


def fails(error: Exception) -> Callable[[], None]:
    def raises() -> None:
        raise error

    return raises


def kinds(kept: Kept, run: str) -> list[RecordKind]:
    return [entry.record.kind for entry in kept.journal.entries() if entry.record.operation == run]


def with_operations(platform: Platform, **rules: object) -> FakeRunning:
    operations = platform.operations.model_copy(update=rules)
    return FakeRunning(platform.model_copy(update={"operations": operations}))


def test_a_run_does_what_is_due_and_tells(running: FakeRunning, kept: Kept, world: World) -> None:
    world.there.update({"two.1", "two.2"})
    made = engine(running, kept, runbooks={"trial": trial(world)})
    run = made.start(trial(world), PARAMETERS, requester="ada", reason="a test")
    assert run.state is RunState.SUCCEEDED
    assert world.effects == {"one.1": 1, "one.2": 1, "three.1": 1, "three.2": 1}
    assert run.outputs["one"] == {"before": 0, "made": "one", "token": run.token}
    assert run.outputs["two"] == {"found": 2}
    assert run.token >= 1_767_225_600_000
    records = [entry.record for entry in kept.journal.entries()]
    assert {record.operation for record in records} == {run.id}
    assert {record.target for record in records} == {"region/fr-par"}
    assert [record.kind for record in records] == [
        RecordKind.REQUESTED,
        RecordKind.STARTED,
        *[RecordKind.STEP] * 7,
        RecordKind.FINISHED,
    ]
    turns = [record.data["turn"] for record in records if "turn" in record.data]
    assert turns == list(range(len(turns)))
    with kept.book.page() as page:
        assert page.acting() == []


def test_budgets_before_and_after_are_in_the_record(
    platform: Platform, kept: Kept, world: World, running: FakeRunning
) -> None:
    metrics = FakeMetrics("fr-par")
    labels = {"sli": "answered", "service": "records"}
    now = running.clock.now()
    metrics.instants["slo:error_budget:remaining"] = (
        Sample(labels, 0.75, now),
        Sample({**labels, "service": "identity"}, 0.5, now),
    )
    running.measured["fr-par"] = metrics
    engine(running, kept, runbooks={"trial": trial(world)}).start(trial(world), PARAMETERS, requester="ada")
    finished = list(kept.journal.entries())[-1].record
    assert finished.kind is RecordKind.FINISHED
    assert finished.data["budget"] == {"before": {"fr-par/answered": 0.5}, "after": {"fr-par/answered": 0.5}}


def test_a_region_that_does_not_answer_has_no_budget_and_stops_nothing(
    running: FakeRunning, kept: Kept, world: World
) -> None:
    running.lost.add("fr-par")
    run = engine(running, kept, runbooks={"trial": trial(world)}).start(
        trial(world), PARAMETERS, requester="ada"
    )
    assert run.state is RunState.SUCCEEDED
    assert list(kept.journal.entries())[-1].record.data["budget"]["after"] == {"fr-par/answered": None}


# Plans


def test_a_plan_changes_nothing(running: FakeRunning, kept: Kept, world: World) -> None:
    world.there.update({"one.1", "two.1", "two.2"})
    plan = engine(running, kept, runbooks={}).plan(trial(world), PARAMETERS)
    assert [found.due for found in plan.steps] == [Due.DUE, Due.DONE, Due.DUE]
    assert [change.what for change in plan.steps[0].changes] == ["one.2"]
    assert (plan.targets, plan.regions, plan.refused) == (("region/fr-par",), ("fr-par",), "")
    assert plan.acts
    assert not world.effects
    assert not list(kept.journal.entries())


def _refusing(world: World, error: Exception) -> Step[TrialParameters]:
    def check(_: StepContext[TrialParameters]) -> Verdict:
        raise error

    return replace(step(world, "refusing"), check=check)


def test_a_plan_says_what_would_be_refused(running: FakeRunning, world: World) -> None:
    runbook = trial(world, steps=(_refusing(world, UsageError("not certified")), step(world, "one")))
    plan = engine(running).plan(runbook, PARAMETERS)
    assert plan.refused == "not certified"
    assert [found.due for found in plan.steps] == [Due.REFUSED]
    assert not plan.acts


def test_what_an_earlier_step_decides_is_not_known_yet(running: FakeRunning, world: World) -> None:
    def needs_output(context: StepContext[TrialParameters]) -> Verdict:
        return Verdict.due(str(context.outputs["one"]["made"]))

    runbook = trial(world, steps=(step(world, "one"), replace(step(world, "two"), check=needs_output)))
    plan = engine(running).plan(runbook, PARAMETERS)
    assert [found.due for found in plan.steps] == [Due.DUE, Due.LATER]
    assert (plan.refused, plan.steps[1].detail) == ("", "known once one is done")


def test_steps_that_only_look_are_run_by_a_plan(running: FakeRunning, world: World) -> None:
    looking: Step[TrialParameters] = Step(
        "look",
        "look",
        5.0,
        lambda _: Verdict.due("to be looked at"),
        lambda _: {"made": "seen"},
        reads_only=True,
    )

    def needs_output(context: StepContext[TrialParameters]) -> Verdict:
        return Verdict.due(str(context.outputs["look"]["made"]))

    plan = engine(running).plan(
        trial(world, steps=(looking, replace(step(world, "two"), check=needs_output))), PARAMETERS
    )
    assert plan.steps[1].detail == "seen"


# Failures


def test_a_failure_undoes_last_first(running: FakeRunning, kept: Kept, world: World) -> None:
    world.failing["three"] = fails(GateFailed("three is not well"))
    made = engine(running, kept, runbooks={"trial": trial(world)})
    run = made.start(trial(world), PARAMETERS, requester="ada")
    assert run.state is RunState.FAILED_UNDONE
    assert (run.step, run.detail) == ("three", "three: three is not well")
    assert world.undone == ["three", "two", "one"]
    assert not world.there
    assert kinds(kept, run.id)[-4:] == [RecordKind.UNDONE] * 3 + [RecordKind.FINISHED]


def test_what_was_there_before_is_not_undone(running: FakeRunning, world: World) -> None:
    world.there.update({"one.1", "one.2"})
    world.failing["two"] = fails(RemoteError("gone"))
    run = engine(running, runbooks={"trial": trial(world)}).start(trial(world), PARAMETERS, requester="ada")
    assert run.state is RunState.FAILED_UNDONE
    assert world.undone == ["two"]
    assert world.there == {"one.1", "one.2"}


def test_a_runbook_that_does_not_undo_stops(running: FakeRunning, world: World) -> None:
    world.failing["two"] = fails(RemoteError("gone"))
    runbook = trial(world, undoes=False)
    run = engine(running, runbooks={"trial": runbook}).start(runbook, PARAMETERS, requester="ada")
    assert run.state is RunState.FAILED_STOPPED
    assert not world.undone


def test_what_has_no_undo_stays_and_is_named(running: FakeRunning, world: World) -> None:
    world.failing["two"] = fails(RemoteError("gone"))
    runbook = trial(world, steps=(step(world, "one", undo=False), step(world, "two")))
    run = engine(running, runbooks={"trial": runbook}).start(runbook, PARAMETERS, requester="ada")
    assert run.state is RunState.FAILED_UNDONE
    assert run.detail == "two: gone; stays: one"


def test_an_undo_that_fails_is_tried_again_and_then_said(running: FakeRunning, world: World) -> None:
    tried: list[float] = []

    def never(_: StepContext[TrialParameters]) -> None:
        tried.append(running.clock.monotonic())
        raise RemoteError("no answer")

    world.failing["two"] = fails(RemoteError("gone"))
    runbook = trial(world, steps=(step(world, "one"), replace(step(world, "two"), undo=never)))
    run = engine(running, runbooks={"trial": runbook}).start(runbook, PARAMETERS, requester="ada")
    assert run.state is RunState.FAILED_STOPPED
    assert run.detail == "two: gone; undoing two: no answer"
    assert len(tried) == 3
    assert "one.1" in world.there


def test_a_refusal_before_anything_changed_is_one(running: FakeRunning, kept: Kept, world: World) -> None:
    runbook = trial(world, steps=(_refusing(world, UsageError("not certified")), step(world, "one")))
    run = engine(running, kept, runbooks={"trial": runbook}).start(runbook, PARAMETERS, requester="ada")
    assert (run.state, run.detail) == (RunState.REFUSED, "not certified")
    assert kinds(kept, run.id)[-1] is RecordKind.REFUSED
    assert not world.effects


def test_a_refusal_later_on_undoes(running: FakeRunning, world: World) -> None:
    runbook = trial(world, steps=(step(world, "one"), _refusing(world, UsageError("not certified"))))
    run = engine(running, runbooks={"trial": runbook}).start(runbook, PARAMETERS, requester="ada")
    assert run.state is RunState.FAILED_UNDONE
    assert world.undone == ["one"]


def test_a_step_that_does_not_end_fails_and_nothing_is_undone(running: FakeRunning, world: World) -> None:
    ended = threading.Event()
    world.midway = lambda name: ended.wait(5.0) and None if name == "two" else None
    runbook = trial(world, steps=(step(world, "one"), step(world, "two", limit=0.05)))
    run = engine(running, runbooks={"trial": runbook}).start(runbook, PARAMETERS, requester="ada")
    ended.set()
    assert run.state is RunState.FAILED_STOPPED
    assert "took longer than its limit of 0.05 s" in run.detail
    assert "cannot be stopped" in run.detail
    assert not world.undone


def test_outputs_that_are_no_json_fail_the_step(running: FakeRunning, world: World) -> None:
    odd = replace(step(world, "one"), apply=lambda _: {"made": object()})
    runbook = trial(world, steps=(odd,))
    run = engine(running, runbooks={"trial": runbook}).start(runbook, PARAMETERS, requester="ada")
    assert run.state is RunState.FAILED_UNDONE
    assert "not JSON serializable" in run.detail


# Approvals


def disruptive(world: World, **more: bool) -> Runbook[TrialParameters]:
    return trial(world, risk=Risk.DISRUPTS, unattended=more.get("unattended", False))


def test_what_disrupts_waits_for_somebody_else(running: FakeRunning, kept: Kept, world: World) -> None:
    runbook = disruptive(world)
    made = engine(running, kept, runbooks={"trial": runbook})
    run = made.start(runbook, PARAMETERS, requester="ada", reason="because")
    assert run.state is RunState.WAITING
    assert not world.checked
    with pytest.raises(UsageError, match="ada asked for it"):
        made.approve(run.id, actor="ada")
    with pytest.raises(UsageError, match="is waiting, and there is nothing to resume"):
        made.resume(run.id, actor="grace")
    assert made.approve(run.id, actor="grace", reason="agreed").state is RunState.READY
    with pytest.raises(UsageError, match="it is ready by grace"):
        made.approve(run.id, actor="alan")
    done = made.resume(run.id, actor="grace")
    assert (done.state, done.decided_by) == (RunState.SUCCEEDED, "grace")
    assert kinds(kept, run.id)[:4] == [
        RecordKind.REQUESTED,
        RecordKind.WAITING,
        RecordKind.APPROVED,
        RecordKind.STARTED,
    ]


def test_an_approval_expires(running: FakeRunning, kept: Kept, world: World) -> None:
    runbook = disruptive(world)
    made = engine(running, kept, runbooks={"trial": runbook})
    run = made.start(runbook, PARAMETERS, requester="ada")
    running.clock.advance(running.platform.operations.approval_expires_minutes * 60)
    with pytest.raises(UsageError, match="has expired"):
        made.approve(run.id, actor="grace")
    assert made.run(run.id).state is RunState.EXPIRED
    with pytest.raises(UsageError, match="is expired"):
        made.resume(run.id, actor="grace")
    assert kinds(kept, run.id) == [RecordKind.REQUESTED, RecordKind.WAITING, RecordKind.EXPIRED]
    assert not world.checked


def test_only_owners_approve_where_there_are_any(platform: Platform, world: World) -> None:
    running = with_operations(platform, owners=("grace", "ada"))
    runbook = disruptive(world)
    made = engine(running, runbooks={"trial": runbook})
    run = made.start(runbook, PARAMETERS, requester="ada")
    with pytest.raises(UsageError, match=r"alan is none of operations\.owners"):
        made.approve(run.id, actor="alan")
    assert made.approve(run.id, actor="grace").state is RunState.READY


def test_a_rejected_run_never_acts(running: FakeRunning, kept: Kept, world: World) -> None:
    runbook = disruptive(world)
    made = engine(running, kept, runbooks={"trial": runbook})
    run = made.start(runbook, PARAMETERS, requester="ada")
    with pytest.raises(UsageError, match="needs a reason"):
        made.reject(run.id, actor="grace", reason=" ")
    rejected = made.reject(run.id, actor="grace", reason="not now")
    assert (rejected.state, rejected.detail) == (RunState.REJECTED, "not now")
    with pytest.raises(UsageError, match="does not wait for approval: it is rejected by grace"):
        made.approve(run.id, actor="alan")
    with pytest.raises(UsageError, match="only what waits or is interrupted can be rejected"):
        made.reject(run.id, actor="grace", reason="again")
    assert kinds(kept, run.id)[-1] is RecordKind.REJECTED
    assert not world.checked


def test_unattended_needs_the_runbook_to_allow_it(running: FakeRunning, world: World) -> None:
    allowed = disruptive(world, unattended=True)
    made = engine(running, runbooks={"trial": allowed})
    assert made.start(allowed, PARAMETERS, requester="witness", unattended=True).state is RunState.SUCCEEDED
    other = disruptive(world)
    assert made.start(other, PARAMETERS, requester="witness", unattended=True).state is RunState.WAITING


def test_an_approval_may_be_brought_along(running: FakeRunning, kept: Kept, world: World) -> None:
    runbook = disruptive(world)
    made = engine(running, kept, runbooks={"trial": runbook})
    with pytest.raises(UsageError, match="ada asked for it"):
        made.start(runbook, PARAMETERS, requester="ada", approved_by="ada")
    run = made.start(runbook, PARAMETERS, requester="ada", approved_by="grace")
    assert run.state is RunState.SUCCEEDED
    assert RecordKind.APPROVED in kinds(kept, run.id)


def test_what_is_proposed_waits_whatever_its_risk(running: FakeRunning, world: World) -> None:
    made = engine(running, runbooks={"trial": trial(world)})
    run = made.start(trial(world), PARAMETERS, requester="alertmanager", alert=True, proposed=True)
    assert run.state is RunState.WAITING


# Locks and limits


def interrupted(running: FakeRunning, kept: Kept, runbook: Runbook[TrialParameters]) -> str:
    """A run that holds its locks and is carried out by nobody."""
    halts = iter([False] * 5 + [True])

    def halted() -> None:
        if next(halts, False):
            raise UsageError("everything is halted")

    made = engine(running, kept, runbooks={runbook.name: runbook}, require_not_halted=halted)
    run = made.start(runbook, PARAMETERS, requester="ada")
    assert run.state is RunState.INTERRUPTED
    return run.id


def test_a_target_has_one_run_at_a_time(running: FakeRunning, kept: Kept, world: World) -> None:
    first = interrupted(running, kept, trial(world))
    other = trial(world, name="other")
    made = engine(running, kept, runbooks={"trial": trial(world), "other": other})
    with pytest.raises(UsageError) as caught:
        made.start(other, PARAMETERS, requester="grace")
    assert first in str(caught.value)
    assert "resume" in caught.value.hint
    assert "reject" in caught.value.hint
    assert made.plan(other, PARAMETERS).refused == str(caught.value)
    assert list(kept.journal.entries())[-1].record.kind is RecordKind.REFUSED
    assert made.resume(first, actor="grace").state is RunState.SUCCEEDED
    assert made.start(other, PARAMETERS, requester="grace").state is RunState.SUCCEEDED


def test_what_only_reads_is_held_up_by_nothing(running: FakeRunning, kept: Kept, world: World) -> None:
    interrupted(running, kept, trial(world))
    reads = trial(world, name="reads", risk=Risk.READS)
    made = engine(running, kept, runbooks={"trial": trial(world), "reads": reads})
    assert made.start(reads, PARAMETERS, requester="grace").state is RunState.SUCCEEDED


def test_tokens_rise_even_where_the_clock_does_not(running: FakeRunning, world: World) -> None:
    made = engine(running, runbooks={"trial": trial(world)})
    tokens = [made.start(trial(world), PARAMETERS, requester="ada").token for _ in range(3)]
    running.clock = FakeClock()
    tokens.append(made.start(trial(world), PARAMETERS, requester="ada").token)
    assert tokens == sorted(set(tokens))


def test_regions_of_a_pair_are_not_all_touched_at_once(platform: Platform, kept: Kept, world: World) -> None:
    running = FakeRunning(platform)
    first = interrupted(running, kept, trial(world))
    made = engine(running, kept, runbooks={"trial": trial(world)})
    elsewhere = TrialParameters(region="fr-gra")
    with pytest.raises(UsageError, match=rf"pair france: {first} acts on another of its regions"):
        made.start(trial(world), elsewhere, requester="grace")
    assert made.start(trial(world), TrialParameters(region="ch-gva"), requester="grace").ended_well
    both = trial(
        world, target=lambda _: (Target("pair", "france"),), regions=("fr-par", "fr-gra"), name="both"
    )
    joined = engine(running, kept, runbooks={"trial": trial(world), "both": both})
    assert joined.start(both, PARAMETERS, requester="grace").ended_well


def test_alerts_start_a_runbook_so_many_times_an_hour(platform: Platform, kept: Kept, world: World) -> None:
    running = with_operations(platform, runs_per_hour=2)
    made = engine(running, kept, runbooks={"trial": trial(world)})
    for _ in range(2):
        assert made.start(trial(world), PARAMETERS, requester="alertmanager", alert=True).ended_well
    with pytest.raises(UsageError, match="2 times within the hour"):
        made.start(trial(world), PARAMETERS, requester="alertmanager", alert=True)
    assert made.start(trial(world), PARAMETERS, requester="ada").ended_well
    elsewhere = TrialParameters(region="ch-gva")
    assert made.start(trial(world), elsewhere, requester="alertmanager", alert=True).ended_well
    running.clock.advance(3601)
    assert made.start(trial(world), PARAMETERS, requester="alertmanager", alert=True).ended_well


def test_the_same_key_is_the_same_run(running: FakeRunning, kept: Kept, world: World) -> None:
    made = engine(running, kept, runbooks={"trial": trial(world)})
    first = made.start(trial(world), PARAMETERS, requester="alertmanager", key="incident-1")
    again = made.start(trial(world), PARAMETERS, requester="alertmanager", key="incident-1")
    assert again == first
    assert kinds(kept, first.id).count(RecordKind.REQUESTED) == 1
    assert made.start(trial(world), PARAMETERS, requester="a", key="incident-2").id != first.id


# Halts


def test_nothing_starts_while_everything_is_halted(running: FakeRunning, kept: Kept, world: World) -> None:
    made = engine(
        running,
        kept,
        runbooks={"trial": trial(world)},
        require_not_halted=fails(UsageError("everything is halted")),
    )
    with pytest.raises(UsageError, match="everything is halted"):
        made.start(trial(world), PARAMETERS, requester="ada")
    assert made.plan(trial(world), PARAMETERS).refused == "everything is halted"
    assert made.runs() == ()


def test_a_halt_stops_a_run_before_its_next_act(running: FakeRunning, kept: Kept, world: World) -> None:
    run = interrupted(running, kept, trial(world))
    assert world.effects == {"one.1": 1, "one.2": 1}
    made = engine(running, kept, runbooks={"trial": trial(world)})
    assert made.run(run).detail == "everything is halted"
    assert made.resume(run, actor="grace").ended_well
    assert world.effects == dict.fromkeys(("one.1", "one.2", "two.1", "two.2", "three.1", "three.2"), 1)
    assert RecordKind.RESUMED in kinds(kept, run)


def test_giving_up_an_interrupted_run_undoes_it(running: FakeRunning, kept: Kept, world: World) -> None:
    run = interrupted(running, kept, trial(world))
    made = engine(running, kept, runbooks={"trial": trial(world)})
    ended = made.reject(run, actor="grace", reason="by hand")
    assert ended.state is RunState.FAILED_UNDONE
    assert ended.detail == "given up by grace: by hand"
    assert (world.undone, world.there) == (["one"], set())
    assert made.start(trial(world), PARAMETERS, requester="ada").ended_well


def test_a_runbook_that_changed_meanwhile_is_not_gone_on_with(
    running: FakeRunning, kept: Kept, world: World
) -> None:
    run = interrupted(running, kept, trial(world))
    made = engine(running, kept, runbooks={"trial": trial(world, ("one", "other"))})
    with pytest.raises(UsageError, match="has other steps now"):
        made.resume(run, actor="grace")


def made_in_background(made: Engine, runbook: Runbook[TrialParameters]) -> str:
    return made.start(runbook, PARAMETERS, requester="ada", block=False).id


def test_a_run_in_the_background_can_be_waited_for(running: FakeRunning, kept: Kept, world: World) -> None:
    gate = threading.Event()
    world.midway = lambda _: gate.wait(5.0) and None
    made = engine(running, kept, runbooks={"trial": trial(world)})
    run = made_in_background(made, trial(world))
    assert made.run(run).state is RunState.RUNNING
    with pytest.raises(UsageError, match="a living process carries it out"):
        made.resume(run, actor="grace")
    gate.set()
    assert made.wait(run, 5.0).ended_well


def test_there_is_no_such_run(running: FakeRunning) -> None:
    with pytest.raises(UsageError, match="there is no run 'nothing'"):
        engine(running).run("nothing")
