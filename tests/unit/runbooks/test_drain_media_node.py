"""A media server emptied: running calls end by themselves, new ones run elsewhere meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbooks.drain_media_node import PATH, RESTARTED, RUNBOOK, DrainParameters, _from_alert
from tests.unit.runbooks.clusters import DeployingCluster
from tests.unit.runbooks.drive import FACTS, Drive
from vitalops.conventions import LIVEKIT_SERVICE, NAMESPACE_MEDIA
from vitalops.errors import GateFailed, RemoteError, UsageError
from vitalops.model.platform import Platform
from vitalops.ports.fakes import FakeRunning
from vitalops.ports.media import Call, FakeMedia
from vitalops.ports.traffic import FakeDirector


def drive(platform: Platform, calls: int = 0, **parameters: int | bool) -> Drive:
    """`calls` run in fr-par; one ends every minute."""
    cluster = DeployingCluster("fr-par")
    cluster.deploy(NAMESPACE_MEDIA, LIVEKIT_SERVICE, "media:1")
    medias = {region: FakeMedia(region) for region in ("fr-par", "fr-gra")}
    running = FakeRunning(platform, clusters={"fr-par": cluster}, medias=dict(medias))
    mine = medias["fr-par"]
    mine.running = {f"room-{number}": Call(f"room-{number}", 2, 0.0) for number in range(calls)}

    def time_passes() -> None:
        for room in list(mine.running):
            if running.clock.monotonic() > 60 * (int(room.removeprefix("room-")) + 1):
                mine.running.pop(room, None)

    mine.asked = time_passes
    facts = replace(FACTS, started=running.clock.now().timestamp())
    return Drive(RUNBOOK, DrainParameters(region="fr-par", **parameters), running, facts)  # type: ignore[arg-type]


def way(run: Drive) -> FakeDirector:
    return run.running.directors(run.running.platform.pairs["france"])[0]


def restarted(run: Drive) -> str:
    annotations = run.running.cluster("fr-par").objects[PATH]["spec"]["template"]["metadata"]["annotations"]
    return str(annotations.get(RESTARTED, ""))


def test_calls_end_by_themselves_and_new_ones_run_elsewhere(platform: Platform) -> None:
    run = drive(platform, calls=2).run(until="divert")
    assert way(run).calls == "fr-gra"
    assert restarted(run) == ""
    run.apply("drain")
    assert run.outputs["drain"]["ended"] == 0
    assert 120 < run.outputs["drain"]["seconds"] < 180
    run.apply("restart")
    assert restarted(run) == "run-1"
    run.apply("return")
    assert way(run).calls == ""
    assert way(run).active() == "fr-par"


def test_each_step_is_done_once(platform: Platform) -> None:
    run = drive(platform).run(until="restart")
    cluster = run.running.cluster("fr-par")
    rolled = list(cluster.deployed)  # type: ignore[attr-defined]
    for step in ("divert", "drain", "restart"):
        assert not run.check(step).needed
        run.apply(step)
    assert cluster.deployed == rolled  # type: ignore[attr-defined]
    run.apply("return")
    assert not run.check("return").needed


def test_calls_that_begin_in_the_restarted_server_do_not_hold_up_a_resumed_run(platform: Platform) -> None:
    run = drive(platform).run(until="restart")
    media = run.running.media("fr-par")
    media.running["room-99"] = Call("room-99", 2, 0.0)  # type: ignore[attr-defined]
    assert not run.check("drain").needed


def test_calls_that_go_on_stop_the_run_and_are_led_back(platform: Platform) -> None:
    run = drive(platform, calls=3, wait_seconds=100).run(until="divert")
    with pytest.raises(GateFailed, match="2 calls still run in fr-par after 100 s"):
        run.apply("drain")
    run.undo("divert")
    run.undo("divert")
    assert way(run).calls == ""
    assert restarted(run) == ""


def test_calls_that_go_on_are_ended_where_that_was_asked_for(platform: Platform) -> None:
    run = drive(platform, calls=3, wait_seconds=100, end_calls=True).run()
    assert run.outputs["drain"]["ended"] == 2
    assert restarted(run) == "run-1"


def test_without_anywhere_for_new_calls_it_is_refused(platform: Platform) -> None:
    run = drive(platform)
    way(run).reached["fr-gra"] = False
    with pytest.raises(UsageError, match="fr-gra is not reached"):
        run.check("look")
    way(run).reached["fr-gra"] = True
    run.running.media("fr-gra").fails_with = lambda: RemoteError("no answer")  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="the media server of fr-gra does not answer"):
        run.check("look")


def test_ways_in_that_cannot_lead_calls_apart(platform: Platform) -> None:
    run = drive(platform)
    way(run).leads_calls = False
    with pytest.raises(GateFailed, match="no way in can lead calls apart"):
        run.run()


def test_what_somebody_else_led_elsewhere_stays_there(platform: Platform) -> None:
    run = drive(platform)
    way(run).calls = "fr-gra"
    run.run()
    assert way(run).calls == "fr-gra"


def test_a_burning_budget_of_calls_proposes_it(platform: Platform) -> None:
    labels = {"runbook": "drain-media-node", "region": "fr-gra"}
    assert _from_alert(labels, platform) == DrainParameters(region="fr-gra")
    assert _from_alert(labels | {"runbook": "scale-out"}, platform) is None
    assert _from_alert(labels | {"region": "mars"}, platform) is None
