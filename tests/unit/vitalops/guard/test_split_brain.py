"""At no moment do two regions acknowledge writes: for partitions, crashes, heals and operations in any order."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.vitalops.guard.simulation import A, B, World
from vitalops.errors import VitalopsError
from vitalops.fencing.standing import ASYNCHRONOUS, SYNCHRONOUS

PLACES = (A, B, "witness", "operator")
LINES = [(A, B), (A, "witness"), (B, "witness"), (A, "operator"), (B, "operator")]

events = st.one_of(
    st.tuples(st.just("step"), st.integers(1, 12)),
    st.tuples(st.just("cut"), st.sampled_from(LINES)),
    st.tuples(st.just("heal"), st.sampled_from(LINES)),
    st.tuples(st.just("isolate"), st.sampled_from((A, B))),
    st.tuples(st.just("off"), st.sampled_from((A, B))),
    st.tuples(st.just("on"), st.sampled_from((A, B))),
    st.tuples(st.just("guard dies"), st.sampled_from((A, B))),
    st.tuples(st.just("database crashes"), st.sampled_from((A, B))),
    st.tuples(st.just("patroni hangs"), st.sampled_from((A, B))),
    st.tuples(st.just("api lost"), st.sampled_from((A, B))),
    st.tuples(st.just("api back"), st.sampled_from((A, B))),
    st.tuples(st.just("witness starts anew"), st.none()),
    st.tuples(st.just("begin"), st.tuples(st.sampled_from((A, B)), st.booleans())),
    st.tuples(st.just("fence"), st.integers(0, 3)),
    st.tuples(st.just("promote"), st.integers(0, 3)),
    # Whole stretches, which single events would seldom make.
    st.tuples(
        st.just("fail over"), st.tuples(st.sampled_from((A, B)), st.booleans(), st.sampled_from((0, 1, 18)))
    ),
    st.tuples(st.just("lose and fail over"), st.tuples(st.sampled_from((A, B)), st.booleans())),
    st.tuples(st.just("come back alone"), st.sampled_from((A, B))),
    st.tuples(st.just("degrade"), st.booleans()),
    st.tuples(st.just("restore"), st.none()),
)


@dataclass
class Operation:
    """A failover that an operator has begun; its steps come whenever they come, or never."""

    target: str
    token: int
    attest: bool


@dataclass
class Story:
    world: World
    operations: list[Operation] = field(default_factory=list[Operation])

    def happens(self, kind: str, what: object) -> None:
        world = self.world
        match kind, what:
            case "step", int(count):
                for turn in range(count):
                    world.step((A, B) if turn % 2 else (B, A))
                    self.holds(kind)
            case "cut", (one, other):
                world.cut.add(frozenset((one, other)))
            case "heal", (one, other):
                world.cut.discard(frozenset((one, other)))
            case "isolate", str(name):
                world.cut.update(frozenset((name, place)) for place in PLACES if place != name)
            case "off", str(name):
                world.regions[name].off()
            case "on", str(name):
                world.regions[name].on()
            case "guard dies", str(name):
                if world.regions[name].guard is not None and not world.regions[name].lease:
                    world.regions[name].start_guard()
            case "database crashes", str(name):
                world.regions[name].postgres.role = "none"
            case "patroni hangs", str(name):
                world.regions[name].patroni_runs = not world.regions[name].patroni_runs
            case "api lost", str(name):
                world.regions[name].maps.lost = True
            case "api back", str(name):
                world.regions[name].maps.lost = False
            case "witness starts anew", _:
                world.restart_witness()
            case "begin", (str(target), bool(attest)):
                self.operations.append(Operation(target, world.token(), attest))
            case "fence", int(index):
                for each in self.operations[index : index + 1]:
                    with contextlib.suppress(VitalopsError):
                        source = B if each.target == A else A
                        world.fence(source, each.target, each.token, each.attest)
            case "promote", int(index):
                for each in self.operations[index : index + 1]:
                    with contextlib.suppress(VitalopsError):
                        world.promote(each.target, each.token)
            case "fail over", (str(target), bool(attest), int(pause)):
                self.happens("begin", (target, attest))
                last = len(self.operations) - 1
                self.happens("fence", last)
                self.happens("step", pause)
                self.happens("fence", last)
                self.happens("promote", last)
                self.happens("step", 2)
            case "lose and fail over", (str(lost), bool(cold)):
                if cold:
                    self.happens("off", lost)
                else:
                    self.happens("isolate", lost)
                self.happens("step", 3)
                self.happens("fail over", (B if lost == A else A, cold, 1 if cold else 18))
            case "come back alone", str(name):
                # Operators reach it; nobody does who would know better.
                self.world.cut.update(
                    frozenset((name, place)) for place in (A, B, "witness") if place != name
                )
                self.world.cut.discard(frozenset((name, "operator")))
                self.happens("on", name)
                self.happens("step", 6)
            case "degrade", bool(attest):
                with contextlib.suppress(VitalopsError):
                    world.degrade(world.token(), ASYNCHRONOUS, attest)
            case _:
                with contextlib.suppress(VitalopsError):
                    world.degrade(world.token(), SYNCHRONOUS, False)
        self.holds(f"{kind} {what}")

    def holds(self, after: str) -> None:
        assert len(self.world.acknowledging) <= 1, f"both regions acknowledge writes after {after}"


def tell(world: World, story: list[tuple[str, object]]) -> None:
    told = Story(world)
    for kind, what in story:
        told.happens(kind, what)


def test_a_proof_serves_for_one_promotion() -> None:
    """Each region is off in turn while the other one takes over; the second one comes back alone."""
    world = World(replication=ASYNCHRONOUS)
    world.settle()
    story: list[tuple[str, object]] = [
        ("lose and fail over", (A, True)),
        ("on", A),
        ("step", 6),
        ("come back alone", A),
        ("lose and fail over", (B, True)),
    ]
    tell(world, story)
    assert world.acknowledging == {A}
    tell(world, [("come back alone", B), ("step", 12)])
    assert world.acknowledging == {A}


def test_a_proof_that_the_active_region_did_not_need_does_not_serve_later() -> None:
    world = World(replication=ASYNCHRONOUS)
    world.settle()
    tell(world, [("fail over", (A, False, 0)), ("lose and fail over", (A, True)), ("come back alone", A)])
    assert world.acknowledging == {B}


def test_a_region_that_took_over_alone_goes_on_alone_after_a_restart() -> None:
    world = World()
    world.settle()
    tell(world, [("lose and fail over", (A, True)), ("off", B), ("step", 2), ("on", B), ("step", 4)])
    assert world.acknowledging == {B}


def test_a_region_out_of_reach_of_everybody_fences_itself_before_its_lease_is_taken_for_over() -> None:
    world = World(lease=3.0, replication=ASYNCHRONOUS)
    world.settle()
    tell(world, [("isolate", A), ("step", 4)])
    assert world.acknowledging == {A}
    tell(world, [("fail over", (B, False, 18))])
    assert world.acknowledging == {B}


def test_a_lease_holds_also_where_patroni_hangs() -> None:
    world = World(lease=3.0, replication=ASYNCHRONOUS)
    world.settle()
    tell(world, [("patroni hangs", A), ("isolate", A), ("fail over", (B, False, 18)), ("step", 4)])
    assert world.acknowledging == {B}


def test_without_a_proof_nobody_takes_over() -> None:
    world = World(replication=ASYNCHRONOUS)
    world.settle()
    tell(world, [("isolate", A), ("fail over", (B, False, 18)), ("fail over", (B, True, 18))])
    assert world.acknowledging == {A}


def test_both_regions_come_back_from_a_cold_start() -> None:
    world = World()
    world.settle()
    tell(world, [("off", A), ("off", B), ("step", 2), ("on", A), ("step", 4)])
    assert world.acknowledging == set()
    tell(world, [("on", B), ("step", 8)])
    assert world.acknowledging == {A}


def test_a_lost_region_is_left_and_becomes_a_standby_when_it_comes_back() -> None:
    world = World()
    world.settle()
    tell(world, [("lose and fail over", (A, True))])
    assert world.acknowledging == {B}
    tell(world, [("on", A), ("step", 12)])
    assert (world.acknowledging, world.regions[A].postgres.role) == ({B}, "standby")
    assert world.regions[B].postgres.names


def test_a_standby_that_was_degraded_from_is_not_promoted_on_an_older_promise() -> None:
    world = World()
    world.settle()
    tell(world, [("off", B), ("degrade", True), ("step", 4)])
    assert world.acknowledging == {A}
    tell(world, [("isolate", A), ("on", B), ("fail over", (B, False, 1)), ("step", 4)])
    assert world.acknowledging == {A}


@settings(max_examples=60, deadline=None)
@given(st.lists(events, max_size=40))
def test_two_regions_never_acknowledge_writes(story: list[tuple[str, object]]) -> None:
    world = World()
    world.settle()
    assert world.acknowledging == {A}
    tell(world, story)


@settings(max_examples=40, deadline=None)
@given(st.lists(events, max_size=40))
def test_nor_under_a_lease(story: list[tuple[str, object]]) -> None:
    world = World(lease=3.0, replication=ASYNCHRONOUS)
    world.settle()
    tell(world, story)


@settings(max_examples=40, deadline=None)
@given(st.lists(events, max_size=30))
def test_nor_where_commits_wait_for_nobody(story: list[tuple[str, object]]) -> None:
    world = World(replication=ASYNCHRONOUS)
    world.settle()
    tell(world, story)


@settings(max_examples=20, deadline=None)
@given(st.lists(events, max_size=12))
def test_nor_while_a_pair_is_first_set_up(story: list[tuple[str, object]]) -> None:
    tell(World(), story)
