"""degrade-to-async and its way back, and the replacement of a leader."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbooks import database_leader_replace, degrade_to_async
from runbooks.database_leader_replace import ReplaceParameters
from runbooks.degrade_to_async import DegradeParameters
from tests.unit.runbooks.drive import FACTS, Drive
from vitalops.errors import GateFailed, UsageError
from vitalops.fencing.standing import Proof
from vitalops.model.failover import Replication
from vitalops.model.platform import Platform
from vitalops.ports.database import DatabaseRole
from vitalops.ports.fakes import FakeRunning
from vitalops.ports.fakes_database import FakePair

HERE, THERE = "fr-par", "fr-gra"


@pytest.fixture
def pair() -> FakePair:
    return FakePair(HERE, THERE)


@pytest.fixture
def running(platform: Platform, pair: FakePair) -> FakeRunning:
    made = FakeRunning(platform)
    pair.clock = made.clock
    made.databases.update(pair.databases)
    return made


def degrade(running: FakeRunning, later: int = 0, **asked: object) -> Drive:
    facts = replace(FACTS, token=FACTS.token + later)
    return Drive(degrade_to_async.RUNBOOK, DegradeParameters.model_validate(asked), running, facts)


def test_the_standby_hears_of_it_first(running: FakeRunning, pair: FakePair) -> None:
    degrade(running).run()
    assert pair.standby.done == [f"standing {HERE} none"]
    assert pair.active.done == [f"standing {HERE} confirmed"]
    assert not pair.active.names
    assert pair.standby.standing is not None
    assert pair.standby.standing.replication is Replication.ASYNCHRONOUS
    assert pair.standby.waited == -1, "what it was promised holds no longer"


def test_it_is_done_once(running: FakeRunning, pair: FakePair) -> None:
    degrade(running).run()
    again = degrade(running).run()
    assert not again.verdicts["change"].needed
    assert len(pair.active.done) == 1


def test_a_standby_that_cannot_be_told_must_be_said_to_be_off(running: FakeRunning, pair: FakePair) -> None:
    pair.standby.lost = True
    with pytest.raises(UsageError, match="fr-gra cannot be told") as refused:
        degrade(running).run()
    assert "--attest-standby-is-off" in refused.value.hint
    assert pair.active.names
    degrade(running, attest_standby_is_off="grace: its hall has no power").run()
    assert pair.active.standing is not None
    assert pair.active.standing.proof is Proof.ATTESTED
    assert not pair.active.names


def test_the_way_back(running: FakeRunning, pair: FakePair) -> None:
    degrade(running).run()
    driven = degrade(running, later=1, restore=True).run()
    assert driven.verdicts["change"].needed
    assert pair.active.names
    assert pair.active.state().replication is Replication.SYNCHRONOUS


def test_undoing_it_puts_replication_back(running: FakeRunning, pair: FakePair) -> None:
    driven = degrade(running).run()
    driven.undo("change")
    assert pair.active.names
    assert pair.standby.standing is not None
    assert pair.standby.standing.replication is Replication.SYNCHRONOUS


def test_commits_that_go_on_waiting_are_found(running: FakeRunning, pair: FakePair) -> None:
    driven = degrade(running).run()
    pair.active.names = True
    with pytest.raises(GateFailed, match="replication of fr-par is not asynchronous"):
        driven.step("change").verify(driven.context("change"))


def test_it_is_not_for_a_lost_active_region(running: FakeRunning, pair: FakePair) -> None:
    pair.active.lost = True
    with pytest.raises(UsageError, match="no region of france that is reached takes writes"):
        degrade(running).run()
    pair.active.lost, pair.standby.role = False, DatabaseRole.PRIMARY
    with pytest.raises(UsageError, match="pair france is split"):
        degrade(running).run()
    assert pair.active.done == []


def test_the_alert_proposes_it_where_commits_wait(platform: Platform) -> None:
    (binding,) = degrade_to_async.RUNBOOK.answers
    assert binding.parameters({"pair": "france"}, platform) == DegradeParameters(pair="france")
    assert binding.parameters({"pair": "nowhere"}, platform) is None
    assert not binding.starts


def replace_leader(running: FakeRunning) -> Drive:
    return Drive(database_leader_replace.RUNBOOK, ReplaceParameters(region=HERE), running)


def test_another_member_leads_and_is_not_replaced_again(running: FakeRunning, pair: FakePair) -> None:
    pair.active.members = 3
    driven = replace_leader(running).run()
    assert driven.outputs["replace"]["leader"] == "postgres-fr-par-1"
    again = Drive(driven.runbook, driven.parameters, running, outputs=dict(driven.outputs))
    assert not again.check("replace").needed
    assert pair.active.done.count("replace leader") == 1


def test_the_only_member_starts_anew(running: FakeRunning, pair: FakePair) -> None:
    driven = replace_leader(running).run()
    assert driven.outputs["replace"]["leader"] == "postgres-fr-par-0"
    assert pair.active.done.count("replace leader") == 1


def test_a_leader_that_stays_is_found(running: FakeRunning, pair: FakePair) -> None:
    pair.active.members = 3
    driven = replace_leader(running).run()
    pair.active.leader = "postgres-fr-par-0"
    with pytest.raises(GateFailed, match="led by postgres-fr-par-0"):
        driven.step("replace").verify(driven.context("replace"))


def test_a_region_without_a_leader_or_that_there_is_not_is_refused(
    running: FakeRunning, pair: FakePair
) -> None:
    pair.active.role = DatabaseRole.NONE
    with pytest.raises(UsageError, match="has no leader"):
        replace_leader(running).run()
    with pytest.raises(UsageError):
        database_leader_replace.RUNBOOK.targets(ReplaceParameters(region="nowhere"), running.platform)
