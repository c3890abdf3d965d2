"""Access that is revoked: on every gateway, at identity, until a time; and given back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from runbooks.access_revocation import CONFIG, RUNBOOK, RevocationParameters
from tests.unit.runbooks.clusters import DeployingCluster
from tests.unit.runbooks.drive import FACTS, Drive
from vitalops import conventions as c
from vitalops.errors import GateFailed, UsageError
from vitalops.model.platform import Platform
from vitalops.ports.cluster import Executed
from vitalops.ports.fakes import FakeRunning
from vitalops.revocation import MAP_FILE, MAP_KEY, denied, keep_denied, map_text

SUBJECT = "3f0d2c1e-0000-4000-8000-000000000000"
REGIONS = ("fr-par", "fr-gra")
UNTIL = int(FACTS.started + 2 * 3600)


@dataclass
class World:
    platform: Platform
    maps: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    identity: dict[str, int] = field(default_factory=dict[str, int])
    sessions: int = 2
    deaf: str = ""
    running: FakeRunning = field(init=False)

    def __post_init__(self) -> None:
        self.running = FakeRunning(self.platform)
        for region in REGIONS:
            cluster = DeployingCluster(region, executes=self.execute)
            cluster.deploy(c.NAMESPACE_GATEWAY, "gateway", f"gateway:{region}", replicas=2)
            cluster.deploy(c.NAMESPACE_SERVICES, "identity", "services:1")
            path = f"/api/v1/namespaces/{c.NAMESPACE_GATEWAY}/configmaps/{CONFIG}"
            cluster.objects[path] = {"metadata": {"name": CONFIG}, "data": {MAP_KEY: map_text({})}}
            self.running.clusters[region] = cluster

    def execute(self, _: str, pod: str, command: Sequence[str], sent: str) -> Executed:
        if command[:3] == ("python3", "-m", "services.identity.revoke"):
            subject, what = command[3], command[4]
            if what == "--until":
                self.identity[subject], self.sessions = int(command[5]), 0
            elif what == "--lift":
                self.identity.pop(subject, None)
            until = self.identity.get(subject, 0)
            return Executed(
                0, json.dumps({"revoked": until > 0, "until": until, "sessions": self.sessions}), ""
            )
        known, said = self.maps.setdefault(pod, {}), list[str]()
        for line in sent.splitlines():
            verb, _map, file, *rest = line.split()
            assert file == MAP_FILE
            if verb == "show":
                said += [f"0x55{number} {key} {end}" for number, (key, end) in enumerate(known.items())]
            elif pod == self.deaf:
                continue
            elif verb == "del":
                known.pop(rest[0], None)
            else:
                known[rest[0]] = int(rest[1])
        return Executed(0, "\n".join(said) + "\n", "")

    def drive(self, **parameters: object) -> Drive:
        given = {"subject": SUBJECT, "pair": "france", "hours": 2.0, **parameters}
        return Drive(RUNBOOK, RevocationParameters(**given), self.running)  # type: ignore[arg-type]


def test_every_gateway_and_identity_know_it(platform: Platform) -> None:
    world = World(platform)
    run = world.drive().run()
    assert len(world.maps) == 4
    assert all(known == {SUBJECT: UNTIL} for known in world.maps.values())
    assert (world.identity, world.sessions) == ({SUBJECT: UNTIL}, 0)
    for region in REGIONS:
        kept = world.running.cluster(region).request(
            "GET", f"/api/v1/namespaces/{c.NAMESPACE_GATEWAY}/configmaps/{CONFIG}"
        )
        assert kept["data"][MAP_KEY] == map_text({SUBJECT: UNTIL})
    assert not any(run.check(step.name).needed for step in RUNBOOK.steps)


def test_lifting_lets_in_again_and_undo_refuses_again(platform: Platform) -> None:
    world = World(platform)
    world.drive().run()
    lifted = world.drive(lift=True).run()
    assert all(known == {} for known in world.maps.values())
    assert world.identity == {}
    lifted.undo("record")
    assert all(known == {SUBJECT: UNTIL} for known in world.maps.values())
    assert world.identity == {SUBJECT: UNTIL}


def test_entries_that_are_over_are_dropped_and_others_stay(platform: Platform) -> None:
    world = World(platform)
    now = int(world.running.clock.now().timestamp())
    keep_denied(world.running.secrets, "france", {"over": now - 1, "goes-on": now + 50})
    world.drive().run()
    assert denied(world.running.secrets, "france") == {"goes-on": now + 50, SUBJECT: UNTIL}


def test_a_gateway_that_cannot_be_told_is_named(platform: Platform) -> None:
    world = World(platform)
    pods = [key for key in world.running.cluster("fr-gra").objects if "/pods/gateway-" in key]
    world.deaf = pods[0].rpartition("/")[2]
    with pytest.raises(GateFailed, match=f"{world.deaf} in fr-gra does not know it yet"):
        world.drive().run()


@pytest.mark.parametrize("subject", ["somebody@example.org", "Ada Lovelace", "", "a" * 200, "x\ny"])
def test_what_is_no_pseudonym_is_refused(platform: Platform, subject: str) -> None:
    with pytest.raises(UsageError, match="no subject of the platform"):
        RUNBOOK.targets(RevocationParameters(subject=subject, pair="france"), platform)
