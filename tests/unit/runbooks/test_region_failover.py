"""Moving the active region: what is refused, in which order it is done, and that nothing is done twice."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runbooks import region_failback, region_failover
from runbooks.common import preflight
from runbooks.region_failover import FailoverParameters
from tests.unit.runbooks.drive import FACTS, Drive
from vitalops import conventions as c
from vitalops.errors import GateFailed, RemoteError, UsageError
from vitalops.fencing.report import GuardReport, Sight
from vitalops.model.failover import Replication
from vitalops.model.platform import CertificationScheme, Platform
from vitalops.pki import CertificateAuthority
from vitalops.ports.clock import FakeClock
from vitalops.ports.cluster import FakeCluster
from vitalops.ports.database import DatabaseRole, Standing
from vitalops.ports.fakes import FakeRunning
from vitalops.ports.fakes_database import FakePair
from vitalops.ports.traffic import FakeDirector

HERE, THERE = "fr-par", "fr-gra"


@pytest.fixture(scope="module")
def certificate() -> str:
    issued = CertificateAuthority.create("an authority").issue("gateway", dns=("localhost",), ip=())
    return base64.b64encode(issued.certificate_pem.encode()).decode()


def furnish(cluster: FakeCluster, certificate: str, ready: int = 1) -> None:
    """A region with its workloads and certificates."""
    for namespace in (c.NAMESPACE_GATEWAY, c.NAMESPACE_SERVICES, c.NAMESPACE_MEDIA):
        name = "gateway" if namespace == c.NAMESPACE_GATEWAY else "records"
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        cluster.objects[path] = {
            "metadata": {"name": name},
            "spec": {"replicas": 1},
            "status": {"readyReplicas": ready},
        }
    for namespace, secret in ((c.NAMESPACE_DATA, "postgres-tls"), (c.NAMESPACE_GATEWAY, "gateway-tls")):
        cluster.objects[f"/api/v1/namespaces/{namespace}/secrets/{secret}"] = {
            "data": {"tls.crt": certificate}
        }
    cluster.objects["/version"] = {"major": "1"}


@pytest.fixture
def pair() -> FakePair:
    return FakePair(HERE, THERE)


@pytest.fixture
def running(platform: Platform, pair: FakePair, certificate: str) -> FakeRunning:
    made = FakeRunning(platform, FakeClock(datetime.now(UTC)))
    pair.clock = made.clock
    for region in (HERE, THERE):
        furnish(made.cluster(region), certificate)
    made.databases.update(pair.databases)
    return made


def move(running: FakeRunning, **asked: Any) -> Drive:
    return Drive(region_failover.RUNBOOK, FailoverParameters(**{"to": THERE, **asked}), running)


def lose(running: FakeRunning, pair: FakePair) -> None:
    pair.active.lost = True
    running.lost.add(HERE)


def test_a_planned_move_leaves_one_region_that_writes_and_the_other_one_following(
    running: FakeRunning, pair: FakePair
) -> None:
    driven = move(running, planned=True).run()
    assert pair.writing == [THERE]
    assert pair.active.done == ["checkpoint", f"standing {THERE} none"]
    assert pair.standby.done == [f"standing {THERE} confirmed", "promote"]
    director = running.directors(running.platform.pairs["france"])[0]
    assert (director.switched, director.active()) == ([THERE], THERE)
    assert driven.outputs["fence"]["proof"] == "confirmed"
    assert running.effects == [
        "consult france",
        f"active france {THERE}",
        f"up {HERE} {THERE}",
    ]


def test_each_step_is_done_once_however_often_it_is_begun(running: FakeRunning, pair: FakePair) -> None:
    driven = move(running, planned=True).run(until="traffic")
    again = Drive(driven.runbook, driven.parameters, running, outputs=dict(driven.outputs)).run(
        until="traffic"
    )
    assert [name for name, verdict in again.verdicts.items() if verdict.needed] == ["preflight"]
    assert pair.standby.done.count("promote") == 1


def test_a_run_that_died_between_fence_and_promotion_goes_on(running: FakeRunning, pair: FakePair) -> None:
    driven = move(running, planned=True).run(until="fence")
    assert pair.writing == []
    Drive(driven.runbook, driven.parameters, running, outputs=dict(driven.outputs)).run()
    assert pair.writing == [THERE]


def test_a_lost_region_whose_commits_waited_is_left_without_a_word_from_anybody(
    running: FakeRunning, pair: FakePair
) -> None:
    lose(running, pair)
    driven = move(running).run()
    assert driven.outputs["fence"]["proof"] == "synchronous"
    assert pair.standby.role is DatabaseRole.PRIMARY
    assert f"up {THERE}" in running.effects


def test_a_lost_region_whose_commits_did_not_wait_needs_somebody_who_answers_for_it(
    running: FakeRunning, pair: FakePair
) -> None:
    lose(running, pair)
    pair.standby.waited = -1
    with pytest.raises(UsageError, match="an unknown amount of acknowledged writes may be lost") as refused:
        move(running).run()
    assert "--accept-loss" in refused.value.hint
    with pytest.raises(UsageError, match="it may go on taking writes"):
        move(running, accept_loss=True).run()
    assert pair.standby.done == []
    asked = {"accept_loss": True, "attest_old_region_is_off": "grace: the hall has no power"}
    driven = move(running, **asked).run()
    assert driven.outputs["fence"]["proof"] == "attested"
    assert pair.standby.role is DatabaseRole.PRIMARY


def test_a_degraded_pair_does_not_count_on_an_older_promise(running: FakeRunning, pair: FakePair) -> None:
    pair.standby.standing = Standing(HERE, 0, Replication.ASYNCHRONOUS)
    lose(running, pair)
    with pytest.raises(UsageError, match="acknowledged writes may be lost"):
        move(running).run()


def test_a_lease_is_waited_for_once_the_witness_knows(running: FakeRunning, pair: FakePair) -> None:
    pair.standby.waited, pair.active.lease = -1, 3.0
    pair.witness = GuardReport(
        "france",
        "witness",
        0,
        HERE,
        "",
        False,
        "",
        "",
        False,
        0,
        (Sight(HERE, False, 9.0),),
        0.0,
        renewed=9.0,
    )
    lose(running, pair)
    driven = move(running, accept_loss=True).run(until="promote")
    assert driven.outputs["fence"]["proof"] == "lease"
    assert pair.standby.done == [f"standing {THERE} none", f"standing {THERE} lease", "promote"]


def test_a_witness_that_keeps_no_count_proves_no_lease(running: FakeRunning, pair: FakePair) -> None:
    pair.standby.waited, pair.active.lease = -1, 3.0
    pair.witness = GuardReport(
        "france", "witness", 0, HERE, "", False, "", "", False, 0, (Sight(HERE, False, 9.0),), 0.0
    )
    lose(running, pair)
    with pytest.raises(GateFailed, match="whether the lease of fr-par has run out is not known"):
        move(running, accept_loss=True).run()
    assert "promote" not in pair.standby.done


def test_a_region_that_goes_on_writing_is_not_taken_for_fenced(running: FakeRunning, pair: FakePair) -> None:
    pair.active.stubborn = True
    with pytest.raises(GateFailed, match="fr-par is not fenced"):
        move(running, planned=True).run()
    assert "promote" not in pair.standby.done


def test_a_region_that_works_is_left_only_as_planned(running: FakeRunning, pair: FakePair) -> None:
    with pytest.raises(UsageError, match="takes writes and is replicated from") as refused:
        move(running).run()
    assert "--planned" in refused.value.hint
    assert (pair.active.done, pair.standby.done) == ([], [])


def test_a_target_that_is_not_certified_refuses_whatever_is_given(
    running: FakeRunning, pair: FakePair, platform: Platform
) -> None:
    bare = platform.regions[THERE].model_copy(
        update={
            "certifications": tuple(
                each
                for each in platform.regions[THERE].certifications
                if each.scheme is not CertificationScheme.HDS
            )
        }
    )
    running.platform = platform.model_copy(update={"regions": {**platform.regions, THERE: bare}})
    lose(running, pair)
    for asked in ({}, {"accept_loss": True, "attest_old_region_is_off": "grace"}):
        with pytest.raises(UsageError, match="fr-gra may not serve health data"):
            move(running, **asked).run()
    assert pair.standby.done == []


def test_a_split_state_refuses(running: FakeRunning, pair: FakePair) -> None:
    pair.standby.role = DatabaseRole.PRIMARY
    with pytest.raises(UsageError, match=r"pair france is split: two regions take writes: fr-gra .*, fr-par"):
        move(running, planned=True).run()
    pair.standby.role = DatabaseRole.STANDBY
    pair.standby.standing = Standing(THERE, 0, Replication.SYNCHRONOUS)
    with pytest.raises(UsageError, match="the regions disagree at token 0"):
        move(running, planned=True).run()
    assert (pair.active.done, pair.standby.done) == ([], [])


def test_both_regions_down_refuses(running: FakeRunning, pair: FakePair) -> None:
    running.lost.update((HERE, THERE))
    with pytest.raises(UsageError, match="both regions of france are out of reach"):
        move(running).run()


def test_clocks_that_differ_refuse(running: FakeRunning, pair: FakePair) -> None:
    pair.standby.skew = 5.0
    with pytest.raises(UsageError, match=r"the clock of fr-gra differs by 5\.0 s"):
        move(running, planned=True).run()


def test_a_standby_that_is_behind_is_not_switched_over_to(running: FakeRunning, pair: FakePair) -> None:
    pair.active.position += 32 * 1024 * 1024
    with pytest.raises(UsageError, match="33554432 bytes behind fr-par"):
        move(running, planned=True).run()


def test_a_target_that_is_not_ready_is_not_switched_over_to_but_taken_when_the_other_is_lost(
    running: FakeRunning, pair: FakePair, certificate: str
) -> None:
    furnish(running.cluster(THERE), certificate, ready=0)
    with pytest.raises(UsageError, match="gateway in fr-gra has 0 of 1 replicas ready"):
        move(running, planned=True).run()
    lose(running, pair)
    move(running).run()
    assert pair.standby.role is DatabaseRole.PRIMARY


def test_certificates_that_end_within_a_day_hinder_what_is_planned(running: FakeRunning) -> None:
    running.clock.advance(timedelta(days=3650).total_seconds())
    planned = move(running, planned=True)
    found = list(preflight.warnings(running, THERE))
    assert [each.split(" ends on")[0] for each in found] == [
        "the certificate vitalops-data/postgres-tls of fr-gra",
        "the certificate vitalops-gateway/gateway-tls of fr-gra",
    ]
    with pytest.raises(UsageError):
        planned.run()


def test_a_region_of_no_pair_is_refused(running: FakeRunning) -> None:
    with pytest.raises(UsageError, match="is a region of no failover pair"):
        region_failover.RUNBOOK.targets(FailoverParameters(to="nowhere"), running.platform)
    with pytest.raises(UsageError, match="is no region of switzerland"):
        region_failover.RUNBOOK.targets(FailoverParameters(to=THERE, pair="switzerland"), running.platform)


def test_a_stale_run_is_refused_by_the_regions_themselves(running: FakeRunning, pair: FakePair) -> None:
    stale = move(running, planned=True)
    stale.run(until="preflight")
    newer = Standing(HERE, FACTS.token + 1, Replication.SYNCHRONOUS)
    pair.active.take_standing(newer)
    pair.standby.take_standing(newer)
    with pytest.raises(UsageError, match="knows of a newer standing"):
        stale.apply("fence")
    assert pair.writing == [HERE]


def test_the_promotion_is_verified(running: FakeRunning, pair: FakePair) -> None:
    driven = move(running, planned=True).run(until="promote")
    pair.standby.role = DatabaseRole.STANDBY
    with pytest.raises(GateFailed, match="the database of fr-gra takes no writes"):
        driven.step("promote").verify(driven.context("promote"))
    pair.standby.fails_to_promote = True
    pair.standby.standing = replace(
        pair.standby.standing or Standing(THERE, 0, Replication.SYNCHRONOUS), spent=False
    )
    with pytest.raises(RemoteError, match="took no writes"):
        driven.apply("promote")


def test_traffic_is_verified(running: FakeRunning) -> None:
    driven = move(running, planned=True).run(until="traffic")
    running.directors(running.platform.pairs["france"])[0].region = HERE
    with pytest.raises(GateFailed, match="no way in leads to fr-gra"):
        driven.step("traffic").verify(driven.context("traffic"))


def test_the_returned_region_is_rewound_and_led_back_to(running: FakeRunning, pair: FakePair) -> None:
    lose(running, pair)
    move(running).run()
    running.lost.clear()
    pair.active.lost, pair.active.role, pair.active.unreplicated = False, DatabaseRole.NONE, 64
    parameters = region_failback.FailbackParameters(pair="france")
    later = replace(FACTS, token=FACTS.token + 1)
    driven = Drive(region_failback.RUNBOOK, parameters, running, later).run()
    assert driven.outputs["rejoin"]["how"] == "rewound"
    assert pair.writing == [HERE]
    assert running.active["france"] == HERE


def test_a_region_that_is_not_back_is_not_led_back_to(running: FakeRunning, pair: FakePair) -> None:
    lose(running, pair)
    move(running).run()
    with pytest.raises(UsageError, match="fr-par is out of reach") as refused:
        Drive(region_failback.RUNBOOK, region_failback.FailbackParameters(), running).run()
    assert "vitalops regions start fr-par" in refused.value.hint


def test_the_alerts_that_are_answered(platform: Platform) -> None:
    unreachable, burn, _ = region_failover.RUNBOOK.answers
    found = unreachable.parameters({"region": THERE, "pair": "france"}, platform)
    assert found == FailoverParameters(to=THERE, pair="france")
    assert not any(binding.starts for binding in region_failover.RUNBOOK.answers)
    labels = {"runbook": "region-failover", "region": HERE}
    assert burn.parameters(labels, platform) == FailoverParameters(to=THERE, pair="france", planned=True)
    assert burn.parameters({**labels, "runbook": "scale-out"}, platform) is None


class _Gone(FakeDirector):
    """A way in whose process or server is gone."""

    def active(self) -> str:
        raise RemoteError(f"{self.name} does not answer")

    def switch(self, region: str) -> None:
        raise RemoteError(f"{self.name} does not answer")


def test_a_way_in_that_is_gone_does_not_hold_up_the_others(running: FakeRunning, pair: FakePair) -> None:
    lose(running, pair)
    running.led_by["france"] = (_Gone("dns example.org"), FakeDirector("edge france", HERE))
    driven = move(running).run(until="traffic")
    assert driven.outputs["traffic"]["problems"] == ["dns example.org: dns example.org does not answer"]
    assert running.directors(running.platform.pairs["france"])[1].active() == "fr-gra"


def test_without_any_way_in_the_traffic_step_fails(running: FakeRunning, pair: FakePair) -> None:
    lose(running, pair)
    running.led_by["france"] = (_Gone("edge france"),)
    with pytest.raises(RemoteError, match=r"edge france does not answer.*dns-outage"):
        move(running).run(until="traffic")
