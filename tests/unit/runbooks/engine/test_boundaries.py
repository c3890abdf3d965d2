"""A runner that dies at any moment: the run is taken up again, finishes or is undone, and no effect is repeated."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooks.engine.boundaries import Boundary, Died, Moment
from runbooks.engine.engine import Engine
from runbooks.engine.model import Risk, Runbook
from runbooks.engine.runs import Run, RunState
from runbooks.engine.testing import Kept, engine
from tests.unit.runbooks.engine.trial import TrialParameters, World, trial
from vitalops.errors import GateFailed
from vitalops.evidence.record import RecordKind
from vitalops.model.platform import Platform
from vitalops.ports.fakes import FakeRunning

NAMES = ("one", "two", "three")
EFFECTS = dict.fromkeys((f"{name}.{half}" for name in NAMES for half in (1, 2)), 1)


class Deaths:
    """A hook that dies at the moments of these numbers, counted through all processes."""

    def __init__(self, *at: int) -> None:
        self.at = set(at)
        self.seen: list[Boundary] = []

    def __call__(self, boundary: Boundary) -> None:
        self.seen.append(boundary)
        if len(self.seen) - 1 in self.at:
            raise Died


class Life:
    """A runbook asked for, approved and carried out by however many processes that takes."""

    def __init__(
        self, platform: Platform, world: World, runbook: Runbook[TrialParameters], deaths: Deaths
    ) -> None:
        self.running = FakeRunning(platform)
        self.kept = Kept()
        self.world, self.runbook, self.deaths = world, runbook, deaths
        world.midway = lambda name: deaths(Boundary(Moment.BEFORE_APPLY, f"the middle of {name}"))

    def engine(self) -> Engine:
        return engine(self.running, self.kept, runbooks={self.runbook.name: self.runbook}, hook=self.deaths)

    def live(self) -> Run:
        """Asked for with a key, as whoever asks again after a crash does."""
        for _ in range(200):
            made = self.engine()
            try:
                run = made.start(self.runbook, TrialParameters(), requester="ada", key="once")
                if run.state is RunState.WAITING:
                    made.approve(run.id, actor="grace")
                    run = made.run(run.id)
                if run.state in (RunState.READY, RunState.INTERRUPTED):
                    run = made.resume(run.id, actor="grace")
                made.settle()
                return run
            except Died:
                continue
        raise AssertionError("it dies for ever")


def recorded(life: Life, run: Run) -> None:
    """Every turn is in the journal once, in order, and what was decided is there once."""
    records = [e.record for e in life.kept.journal.entries() if e.record.operation == run.id]
    turns = [record.data["turn"] for record in records if "turn" in record.data]
    assert turns == list(range(len(turns)))
    for kind in (RecordKind.REQUESTED, RecordKind.WAITING, RecordKind.APPROVED, RecordKind.FINISHED):
        assert sum(record.kind is kind for record in records) <= 1
    assert sum(record.kind is RecordKind.REQUESTED for record in records) == 1
    assert records[-1].kind is RecordKind.FINISHED


def count(platform: Platform, make: Callable[[World], Runbook[TrialParameters]], world: World) -> int:
    deaths = Deaths()
    Life(platform, world, make(world), deaths).live()
    return len(deaths.seen)


def well(world: World) -> Runbook[TrialParameters]:
    return trial(world, NAMES, risk=Risk.DISRUPTS)


def failing(world: World) -> Runbook[TrialParameters]:
    def raises() -> None:
        raise GateFailed("it is not well")

    world.failing["three"] = raises
    return trial(world, NAMES)


def test_dying_once_at_every_moment_finishes_and_repeats_nothing(platform: Platform) -> None:
    moments = count(platform, well, World())
    assert moments > 60
    for moment in range(moments):
        world = World()
        deaths = Deaths(moment)
        life = Life(platform, world, well(world), deaths)
        run = life.live()
        where = f"died at {deaths.seen[moment]}"
        assert run.state is RunState.SUCCEEDED, where
        assert world.effects == EFFECTS, where
        assert run.outputs["one"]["before"] == 0, where
        assert not world.undone, where
        recorded(life, run)
        with life.kept.book.page() as page:
            assert page.acting() == [], where


def test_dying_once_at_every_moment_of_a_failing_run_undoes_it(platform: Platform) -> None:
    moments = count(platform, failing, World())
    for moment in range(moments):
        world = World()
        deaths = Deaths(moment)
        life = Life(platform, world, failing(world), deaths)
        run = life.live()
        where = f"died at {deaths.seen[moment]}"
        assert run.state is RunState.FAILED_UNDONE, where
        assert world.effects == EFFECTS, where
        assert world.undone == ["three", "two", "one"], where
        assert not world.there, where
        recorded(life, run)


@settings(max_examples=25)
@given(st.sets(st.integers(0, 120), max_size=12), st.booleans())
def test_dying_again_and_again(platform: Platform, moments: set[int], fails: bool) -> None:
    world = World()
    life = Life(platform, world, (failing if fails else well)(world), Deaths(*moments))
    run = life.live()
    assert run.state is (RunState.FAILED_UNDONE if fails else RunState.SUCCEEDED)
    assert world.effects == EFFECTS
    assert world.undone == (["three", "two", "one"] if fails else [])
    recorded(life, run)


def test_giving_up_after_dying_at_every_moment_leaves_nothing(platform: Platform) -> None:
    def make(world: World) -> Runbook[TrialParameters]:
        return trial(world, NAMES)

    given_up = 0
    for moment in range(count(platform, make, World())):
        world = World()
        deaths = Deaths(moment)
        life = Life(platform, world, make(world), deaths)
        with pytest.raises(Died):
            life.engine().start(life.runbook, TrialParameters(), requester="ada")
        found = life.engine().runs(open_only=True)
        if not found:
            continue
        ended = life.engine().reject(found[0].id, actor="grace", reason="by hand")
        where = f"died at {deaths.seen[moment]}"
        given_up += 1
        assert all(times == 1 for times in world.effects.values()), where
        if ended.state is not RunState.SUCCEEDED:
            assert ended.state in (RunState.REJECTED, RunState.FAILED_UNDONE), where
            assert not world.there, where
        with life.kept.book.page() as page:
            assert page.acting() == [], where
    assert given_up > 40


def test_what_was_lost_while_nobody_looked_is_made_again(platform: Platform, world: World) -> None:
    runbook = trial(world, NAMES)

    def dies_between(boundary: Boundary) -> None:
        if boundary == Boundary(Moment.BEFORE_TURN, "two") and "one.2" in world.there:
            raise Died

    running, kept = FakeRunning(platform), Kept()
    with pytest.raises(Died):
        engine(running, kept, runbooks={"trial": runbook}, hook=dies_between).start(
            runbook, TrialParameters(), requester="ada"
        )
    world.there.clear()
    made = engine(running, kept, runbooks={"trial": runbook})
    run = made.resume(made.runs()[0].id, actor="grace")
    assert run.state is RunState.SUCCEEDED
    assert world.effects["one.1"] == 2
    assert world.effects["two.1"] == 1
    resumed = next(e.record for e in kept.journal.entries() if e.record.kind is RecordKind.RESUMED)
    assert (resumed.actor, resumed.data["gone"]) == ("grace", ["one"])
