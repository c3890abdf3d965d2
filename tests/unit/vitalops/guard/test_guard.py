"""What one guard does about its own region: names, fences, proofs, answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.vitalops.guard.simulation import CONFIG, A, B, World
from vitalops.errors import UsageError
from vitalops.fencing.machine import Leave
from vitalops.fencing.report import from_json, to_json
from vitalops.fencing.standing import SYNCHRONOUS, PairStanding, Proof
from vitalops.guard import patroni
from vitalops.guard.fakes import FakeConfigMaps
from vitalops.guard.guard import Guard
from vitalops.guard.keeper import Keeper, newer
from vitalops.guard.kube import Conflict
from vitalops.guard.operations import Operations
from vitalops.guard.patroni import PatroniConfig, PatroniRest


def guard_of(world: World, name: str) -> Guard:
    guard = world.regions[name].guard
    assert guard is not None
    return guard


@pytest.fixture
def world() -> World:
    made = World()
    made.settle()
    return made


def test_commits_wait_once_the_standby_streams_and_not_before() -> None:
    world = World()
    world.regions[B].off()
    world.settle()
    assert patroni.names_in(world.regions[A].config) == ""
    world.regions[B].on()
    world.settle()
    assert patroni.names_in(world.regions[A].config) == 'ANY 1 ("postgres-fr-gra-0")'
    report = guard_of(world, A).report()
    assert (report.confirmed, report.replication, report.meant) == (True, SYNCHRONOUS, SYNCHRONOUS)
    assert guard_of(world, B).report().waited == 0


def test_a_standby_that_goes_away_does_not_end_the_waiting(world: World) -> None:
    world.regions[B].off()
    world.settle()
    assert patroni.names_in(world.regions[A].config) != ""
    assert world.acknowledging == set()


def test_what_the_rules_need_is_put_into_a_configuration_that_was_made_without(world: World) -> None:
    assert world.regions[A].config["primary_start_timeout"] == 0


def test_where_patroni_does_not_demote_the_postmaster_is_told_fast_and_then_at_once(world: World) -> None:
    region = world.regions[A]
    region.patroni_runs = False
    guard_of(world, A).take(PairStanding(B, 5, SYNCHRONOUS, Proof.NONE, spent=False))
    region.postgres.stopped.clear()

    def stays(hard: bool) -> None:
        region.postgres.stopped.append(hard)

    region.postgres.stop = stays  # type: ignore[method-assign]
    for _ in range(8):
        world.now += 0.5
        guard_of(world, A).tick()
    assert region.postgres.stopped[0] is False
    assert region.postgres.stopped[-1] is True
    assert "fr-gra is the active region, by token 5" in guard_of(world, A).report().fenced


def test_a_region_is_fenced_without_its_api_server_too(world: World) -> None:
    region = world.regions[A]
    guard_of(world, B).take(PairStanding(B, 5, SYNCHRONOUS, Proof.CONFIRMED, spent=False))
    region.maps.lost = True
    world.settle()
    assert region.postgres.role == "none"
    assert region.postgres.stopped


def test_a_stale_or_unproven_standing_is_refused(world: World) -> None:
    guard = guard_of(world, B)
    guard.take(PairStanding(A, 7, SYNCHRONOUS))
    with pytest.raises(UsageError, match="fr-gra knows of a newer standing: fr-par is active, by token 7"):
        guard.take(PairStanding(B, 6, SYNCHRONOUS, Proof.CONFIRMED, spent=False))
    with pytest.raises(UsageError, match="newer standing"):
        guard.take(PairStanding(B, 7, SYNCHRONOUS, Proof.CONFIRMED, spent=False))
    with pytest.raises(UsageError, match="commits of fr-par did not wait for it"):
        guard.take(PairStanding(B, 8, SYNCHRONOUS, Proof.SYNCHRONOUS, spent=False))
    with pytest.raises(UsageError, match="knows fr-par by token 7 as active, not fr-gra by token 8"):
        guard.lead(8)


def test_a_proof_is_spent_before_the_promotion_and_leave_waits_where_that_cannot_be_kept(
    world: World,
) -> None:
    region, guard = world.regions[B], guard_of(world, B)
    world.regions[A].off()
    guard.take(PairStanding(B, 5, SYNCHRONOUS, Proof.SYNCHRONOUS, spent=False))
    region.maps.lost = True
    answer = guard.permit()
    assert answer.leave is Leave.WAIT
    region.maps.lost = False
    assert guard.permit().leave is Leave.YES
    assert (region.standing.spent, region.standing.alone) == (True, True)


def test_a_region_that_is_alone_answers_the_other_one_only_when_that_is_written_down(world: World) -> None:
    region, guard = world.regions[B], guard_of(world, B)
    world.regions[A].off()
    guard.take(PairStanding(B, 5, SYNCHRONOUS, Proof.SYNCHRONOUS, spent=False))
    assert guard.answer("witness") is not None
    assert region.standing.alone
    region.maps.lost = True
    assert guard.answer(A) is None
    region.maps.lost = False
    assert guard.answer(A) is not None
    assert not region.standing.alone


def test_a_report_survives_the_way_over_the_network(world: World) -> None:
    report = guard_of(world, A).report(B)
    assert from_json(to_json(report)) == report
    assert from_json(json.dumps({**json.loads(to_json(report)), "unheard of": 1})) == report
    for text in ("", "[]", "{}", '{"place": "x"}'):
        with pytest.raises(ValueError, match="no guard's report"):
            from_json(text)


def test_operations_are_known_by_name(world: World) -> None:
    region = world.regions[A]
    operations = Operations(guard_of(world, A), region.postgres, PatroniRest(1, "", ""))
    state: dict[str, Any] = operations.run("state", {})
    assert (state["look"].role, state["standing"]["active"], state["members"]) == ("primary", A, [])
    assert operations.run("permit", {})["leave"] == "yes"
    with pytest.raises(UsageError, match="a guard knows no 'explode'"):
        operations.run("explode", {})


def test_members_are_quoted_for_postgresql() -> None:
    assert patroni.quoted(("a-0", "a-1")) == 'ANY 1 ("a-0", "a-1")'
    assert patroni.quoted(()) == ""


def test_a_configuration_changed_meanwhile_is_read_again() -> None:
    maps = FakeConfigMaps()
    maps.create({"metadata": {"name": CONFIG, "annotations": {"config": "{}"}}})
    config = PatroniConfig(maps, CONFIG)
    attempts: list[int] = []

    def change(found: dict[str, Any]) -> None:
        attempts.append(len(attempts))
        if len(attempts) == 1:
            maps.patch(CONFIG, {"metadata": {"annotations": {"config": '{"ttl": 20}'}}})
        found["loop_wait"] = 5

    assert config.change(change) == {"ttl": 20, "loop_wait": 5}
    assert config.read() == {"ttl": 20, "loop_wait": 5}
    with pytest.raises(Conflict):
        maps.patch(CONFIG, {"metadata": {"resourceVersion": "1"}})


def test_what_is_kept_is_never_older() -> None:
    maps = FakeConfigMaps()
    keeper = Keeper(maps, "pair-standing")
    first = PairStanding(A, 1, SYNCHRONOUS, alone=True)
    assert keeper.read() is None
    assert keeper.write(first) == first
    newest = PairStanding(B, 3, SYNCHRONOUS, Proof.CONFIRMED, spent=False)
    assert keeper.write(newest) == newest
    assert keeper.write(first) == newest
    assert keeper.write(PairStanding(B, 3, SYNCHRONOUS, Proof.CONFIRMED)).spent
    assert newer(PairStanding(B, 3, SYNCHRONOUS), newest) == newest
    assert newer(first, PairStanding(A, 1, SYNCHRONOUS)).alone is False
    maps.objects["pair-standing"]["data"] = {"active": "x"}
    with pytest.raises(ValueError, match="it has no 'token'"):
        keeper.read()
