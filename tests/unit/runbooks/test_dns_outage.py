"""Ways in that are broken: each is mended by itself, and a lost region is not taken for one."""

from __future__ import annotations

import pytest

from runbooks.dns_outage import RUNBOOK, WayInParameters
from tests.unit.runbooks.drive import Drive
from vitalops.errors import GateFailed, RemoteError, UsageError
from vitalops.model.platform import Platform
from vitalops.ports.fakes import FakeRunning
from vitalops.ports.traffic import FakeDirector

BOTH = {"fr-par": True, "fr-gra": True}


def edge(**more: object) -> FakeDirector:
    return FakeDirector("edge france", "fr-par", dict(BOTH), **more)  # type: ignore[arg-type]


def name(region: str = "fr-par", **more: object) -> FakeDirector:
    return FakeDirector("dns visits.example.org", region, {}, **more)  # type: ignore[arg-type]


def drive(platform: Platform, *ways: FakeDirector) -> Drive:
    return Drive(RUNBOOK, WayInParameters(pair="france"), FakeRunning(platform, led_by={"france": ways}))


def unreachable() -> Exception:
    return RemoteError("dns visits.example.org: no answer within 5 s")


def cannot() -> None:
    raise RemoteError("dns visits.example.org: no answer within 5 s")


def test_nothing_is_done_to_what_works(platform: Platform) -> None:
    ways = edge(), name()
    run = drive(platform, *ways).run()
    assert not run.verdicts["mend"].needed
    assert [way.repaired for way in ways] == [0, 0]
    assert run.outputs["answers"]["still_broken"] == {}


def test_an_edge_that_does_not_run_is_started_once(platform: Platform) -> None:
    way = edge(broken="its process does not run")
    run = drive(platform, way).run()
    assert run.outputs["diagnose"]["faults"] == {"edge france": "its process does not run"}
    assert run.verdicts["mend"].changes[0].before == "its process does not run"
    assert (way.repaired, way.fault()) == (1, "")
    run.apply("mend")
    assert way.repaired == 1


def test_a_name_that_leads_elsewhere_is_led_back(platform: Platform) -> None:
    way = name("fr-gra")
    run = drive(platform, edge(), way).run()
    assert run.outputs["diagnose"]["faults"] == {way.name: "it leads to fr-gra, not to fr-par"}
    assert way.switched == ["fr-par"]


def test_the_active_region_is_where_ways_are_led(platform: Platform) -> None:
    way = edge()
    run = drive(platform, way)
    run.running.active["france"] = "fr-gra"
    run.run()
    assert way.active() == "fr-gra"


def test_a_way_that_cannot_be_mended_is_told_while_another_works(platform: Platform) -> None:
    silent = name(broken="no answer within 5 s", fails_with=unreachable, repairs=cannot)
    run = drive(platform, edge(broken="its process does not run"), silent).run()
    assert list(run.outputs["mend"]["mended"]) == ["edge france"]
    assert list(run.outputs["mend"]["failed"]) == [silent.name]
    assert run.outputs["answers"]["still_broken"] == {silent.name: "no answer within 5 s"}


def test_no_way_in_at_all_is_a_failure(platform: Platform) -> None:
    silent = name(broken="no answer within 5 s", fails_with=unreachable, repairs=cannot)
    with pytest.raises(GateFailed, match="no way in of france works"):
        drive(platform, silent).run()


def test_a_lost_region_is_refused(platform: Platform) -> None:
    way = FakeDirector("edge france", "fr-par", {"fr-par": False, "fr-gra": True})
    with pytest.raises(UsageError, match="the region is lost, not the way to it"):
        drive(platform, way).run()


def test_a_pair_that_there_is_not(platform: Platform) -> None:
    with pytest.raises(UsageError, match="there is no pair frnace"):
        RUNBOOK.targets(WayInParameters(pair="frnace"), platform)
