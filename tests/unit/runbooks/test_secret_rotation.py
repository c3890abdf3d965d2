"""Rotation of secrets: in whatever order pods are replaced, each side accepts what the other one uses."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from infra.program.secrets import region_secrets
from runbooks.secret_rotation import NOT_YET, RUNBOOK, Kind, SecretParameters, ring, without_expired
from tests.unit.runbooks.clusters import DeployingCluster
from tests.unit.runbooks.drive import Drive
from vitalops.conventions import NAMESPACE_SERVICES
from vitalops.errors import GateFailed
from vitalops.model.platform import Platform
from vitalops.model.selection import services_of
from vitalops.ports.cluster import Executed
from vitalops.ports.fakes import FakeRunning

REGIONS = ("fr-par", "fr-gra")


@dataclass(frozen=True)
class Brought:
    """What `up` brought to a region, as the parts see it."""

    used_by_clients: dict[str, str]
    accepted_by_identity: dict[str, tuple[str, ...]]
    password: dict[str, str]
    tried: dict[str, set[str]]
    keys: list[dict[str, Any]]
    known: set[str]

    def signs(self, now: float) -> str:
        return str(
            max((k for k in self.keys if k["not_before"] <= now), key=lambda k: k["not_before"])["kid"]
        )


@dataclass
class World:
    platform: Platform
    running: FakeRunning = field(init=False)
    brought: list[Brought] = field(default_factory=list[Brought])

    def __post_init__(self) -> None:
        self.running = FakeRunning(self.platform, brings_up=self.bring_up)
        for region in REGIONS:
            cluster = DeployingCluster(region, executes=self.execute)
            for service in self.services:
                cluster.deploy(NAMESPACE_SERVICES, service.name, "services:1")
            self.running.clusters[region] = cluster
        self.bring_up(REGIONS)

    @property
    def services(self) -> Any:
        return services_of(self.platform, "france")

    def bring_up(self, _: Sequence[str]) -> str:
        made = region_secrets(
            self.running.secrets, self.platform, "france", "fr-par", self.services, ("10.0.0.1", "10.0.0.2")
        )
        clients = json.loads(made.service_files["identity"]["clients.json"])
        self.brought.append(
            Brought(
                {name: digest(files["client-secret"]) for name, files in made.service_files.items()},
                {name: listed(entry["secret_sha256"]) for name, entry in clients.items()},
                dict(made.database.services),
                {
                    name: {
                        value,
                        *([made.database.services_next[name]] if name in made.database.services_next else []),
                    }
                    for name, value in made.database.services.items()
                },
                json.loads(made.service_files["identity"]["signing-keys.json"]),
                {key.kid for key in made.token_keys},
            )
        )
        for cluster in self.running.clusters.values():
            for name, files in made.service_files.items():
                data = dict(files)
                if name in made.database.services:
                    data["database-password"] = made.database.services[name]
                if name in made.database.services_next:
                    data["database-password-next"] = made.database.services_next[name]
                path = f"/api/v1/namespaces/{NAMESPACE_SERVICES}/secrets/{name}"
                encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
                cluster.objects[path] = {"metadata": {"name": name}, "data": encoded}
        return "changed"

    def execute(self, _: str, __: str, command: Sequence[str], ___: str) -> Executed:
        now = self.brought[-1]
        if command[0] == "grep":
            return Executed(0 if command[2] in now.known else 1, "", "")
        return Executed(0, now.signs(self.running.clock.now().timestamp()) + "\n", "")

    def drive(self, kind: Kind = Kind.ALL) -> Drive:
        return Drive(RUNBOOK, SecretParameters(pair="france", kind=kind), self.running)


def digest(secret: str) -> str:
    from hashlib import sha256

    return sha256(secret.encode()).hexdigest()


def listed(found: str | list[str]) -> tuple[str, ...]:
    return (found,) if isinstance(found, str) else tuple(found)


def nothing_is_refused(before: Brought, after: Brought, now: float) -> None:
    """While some pods are of `before` and some of `after`."""
    for user in (before, after):
        for identity in (before, after):
            for name, secret in user.used_by_clients.items():
                assert secret in identity.accepted_by_identity[name], name
        for server in (before, after):
            for name, password in server.password.items():
                assert password in user.tried[name], name
        for verifier in (before, after):
            assert user.signs(now) in verifier.known


def test_nothing_is_refused_at_any_moment_and_all_is_new_at_the_end(platform: Platform) -> None:
    world = World(platform)
    first = world.brought[0]
    world.drive().run()
    assert len(world.brought) == 4
    now = world.running.clock.now().timestamp()
    for before, after in pairwise(world.brought):
        nothing_is_refused(before, after, now)
    last = world.brought[-1]
    assert not set(last.used_by_clients.values()) & set(first.used_by_clients.values())
    assert not set(last.password.values()) & set(first.password.values())
    assert last.signs(now) != first.signs(now)
    assert first.signs(now) in last.known, "its tokens are accepted until they run out"
    assert all(len(accepted) == 1 for accepted in last.accepted_by_identity.values())
    assert all(len(tried) == 1 for tried in last.tried.values())


@pytest.mark.parametrize("kind", [Kind.TOKEN_KEYS, Kind.CLIENTS, Kind.DATABASE])
def test_one_kind_leaves_the_others_alone(platform: Platform, kind: Kind) -> None:
    world = World(platform)
    world.drive(kind).run()
    first, last = world.brought[0], world.brought[-1]
    assert (first.known != last.known) == (kind is Kind.TOKEN_KEYS)
    assert (first.used_by_clients != last.used_by_clients) == (kind is Kind.CLIENTS)
    assert (first.password != last.password) == (kind is Kind.DATABASE)


def test_a_consultation_that_fails_puts_the_old_ones_back_without_a_refusal(platform: Platform) -> None:
    world = World(platform)
    run = world.drive()
    run.run("used")
    world.running.consults = lambda pair: failed(pair.name)
    with pytest.raises(GateFailed, match="fails with the new secrets at 'sign in'"):
        run.apply("consult")
    run.undo("switch")
    run.undo("add")
    now = world.running.clock.now().timestamp()
    for before, after in pairwise(world.brought):
        nothing_is_refused(before, after, now)
    first, last = world.brought[0], world.brought[-1]
    assert (last.used_by_clients, last.password, last.signs(now)) == (
        first.used_by_clients,
        first.password,
        first.signs(now),
    )
    assert last.tried == first.tried
    world.running.consults = None
    world.drive().run()
    assert world.brought[-1].signs(world.running.clock.now().timestamp()) != first.signs(now)


def failed(pair: str) -> Any:
    from vitalops.consultation.report import VerificationReport

    return VerificationReport(False, "sign in", pair, "", 1.0, (), ())


def test_each_step_twice_is_once(platform: Platform) -> None:
    world = World(platform)
    run = world.drive()
    for step in RUNBOOK.steps:
        run.apply(step.name)
        kept = {name: world.running.secrets.get(name) for name in world.running.secrets.names()}
        assert not run.check(step.name).needed, step.name
        step.apply(run.context(step.name))
        assert {name: world.running.secrets.get(name) for name in world.running.secrets.names()} == kept, (
            step.name
        )


def test_a_key_is_dropped_when_its_tokens_have_run_out() -> None:
    keys = [
        {"kid": "a", "not_before": 0},
        {"kid": "b", "not_before": 1000},
        {"kid": "c", "not_before": NOT_YET},
    ]
    assert [key["kid"] for key in without_expired(keys, 1000 + 1199)] == ["a", "b", "c"]
    assert [key["kid"] for key in without_expired(keys, 1000 + 1200)] == ["b", "c"]


def test_the_ring_stays_short_over_many_rotations(platform: Platform) -> None:
    world = World(platform)
    for _ in range(3):
        world.drive(Kind.TOKEN_KEYS).run()
        world.running.clock.advance(3600)
    assert len(ring(world.running.secrets, "france")) == 2


def test_no_value_is_in_what_is_kept_of_a_run(platform: Platform) -> None:
    world = World(platform)
    run = world.drive().run()
    told = json.dumps([dict(output) for output in run.outputs.values()])
    for name in world.running.secrets.names():
        value = world.running.secrets.get(name) or ""
        assert value not in told, name
