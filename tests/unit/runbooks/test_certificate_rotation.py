"""New certificates: issued once a run, shown everywhere at the end, and put back on undo."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from runbooks import certificate_rotation
from runbooks.certificate_rotation import RUNBOOK, CertificateParameters, certificate_of
from tests.unit.runbooks.clusters import DeployingCluster
from tests.unit.runbooks.drive import Drive
from vitalops import conventions as c
from vitalops.errors import GateFailed, UsageError
from vitalops.model.platform import Platform
from vitalops.pki import CertificateAuthority, alternative_names, fingerprint
from vitalops.ports.cluster import Executed
from vitalops.ports.fakes import FakeRunning

REGIONS = ("fr-par", "fr-gra")
FOLDER = "france/certificates"


@dataclass
class World:
    """Two regions that show the certificates which `bring_up` brought; the database its own once told to reload."""

    platform: Platform
    reloads: bool = True
    running: FakeRunning = field(init=False)
    shown: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        self.running = FakeRunning(self.platform, brings_up=self.bring_up)
        authority = CertificateAuthority.create("test authority", now=self.running.clock.now())
        document = {"certificate": authority.certificate_pem, "key": authority.key_pem}
        self.running.secrets.replace("authority", json.dumps(document))
        for name in ("gateway", "edge", "postgres", "objects"):
            made = authority.issue(
                name,
                dns=[f"{name}.example"],
                ip=["127.0.0.1"],
                client=name == "edge",
                now=self.running.clock.now(),
            )
            document = {"certificate": made.certificate_pem, "key": made.key_pem}
            self.running.secrets.replace(f"{FOLDER}/{name}", json.dumps(document))
        for region in REGIONS:
            cluster = DeployingCluster(region, executes=self.execute)
            cluster.deploy(c.NAMESPACE_GATEWAY, "gateway", "gateway:1")
            pod = {"metadata": {"name": f"postgres-{region}-0", "labels": {c.LABEL_NAME: "postgres"}}}
            cluster.objects[f"/api/v1/namespaces/{c.NAMESPACE_DATA}/pods/postgres-{region}-0"] = pod
            self.running.clusters[region] = cluster
        self.bring_up(REGIONS)
        self.reload()

    def pem(self, name: str) -> str:
        return certificate_of(self.running.secrets, f"{FOLDER}/{name}")

    def bring_up(self, regions: tuple[str, ...]) -> str:
        for region in regions:
            for name, (namespace, secret, file) in certificate_rotation.KEPT.items():
                data = {file: base64.b64encode(self.pem(name).encode()).decode()}
                path = f"/api/v1/namespaces/{namespace}/secrets/{secret}"
                self.running.clusters[region].objects[path] = {"metadata": {"name": secret}, "data": data}
        self.shown["edge"] = fingerprint(self.pem("edge"))
        self.shown["file"] = self.pem("postgres")
        return "2 objects changed"

    def reload(self) -> None:
        self.shown["postgres"] = fingerprint(self.shown["file"])

    def execute(self, _: str, __: str, command: Sequence[str], ___: str) -> Executed:
        match command[0]:
            case "cat":
                return Executed(0, self.shown["file"], "")
            case "sh":
                if self.reloads:
                    self.reload()
                return Executed(0, "", "")
            case _:
                return Executed(0, f"{self.shown['postgres']}\n" * 2, "")

    def drive(self, certificate: str = "") -> Drive:
        return Drive(RUNBOOK, CertificateParameters(pair="france", certificate=certificate), self.running)


@pytest.fixture
def world(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(platform)
    monkeypatch.setattr(certificate_rotation, "shown_at", lambda _: made.shown["edge"])
    return made


def test_every_door_shows_a_new_certificate_with_the_same_names(world: World) -> None:
    before = {name: world.pem(name) for name in ("gateway", "edge", "postgres", "objects")}
    world.running.clock.advance(86400)
    run = world.drive().run()
    for name, old in before.items():
        assert fingerprint(world.pem(name)) != fingerprint(old)
        assert alternative_names(world.pem(name)) == alternative_names(old)
    assert world.shown["postgres"] == fingerprint(world.pem("postgres"))
    assert run.outputs["issue"]["expires"]["edge"] > run.outputs["issue"]["expired"]["edge"]
    assert [run.check(name).needed for name in ("issue", "roll-out", "reload")] == [False, False, False]


def test_one_certificate_alone(world: World) -> None:
    before = world.pem("postgres")
    run = world.drive("gateway").run()
    assert world.pem("postgres") == before
    assert not run.verdicts["reload"].needed
    with pytest.raises(UsageError, match="has no certificate nothing"):
        world.drive("nothing").check("issue")


def test_a_crash_while_issuing_issues_the_rest_only(world: World) -> None:
    run = world.drive()
    run.outputs["issue"] = run.check("issue").facts
    run.step("issue").apply(run.context("issue"))
    once = world.pem("gateway")
    run.step("issue").apply(run.context("issue"))
    assert world.pem("gateway") == once
    assert not run.check("issue").needed


def test_undo_puts_the_old_ones_back_everywhere(world: World) -> None:
    before = {name: world.pem(name) for name in ("gateway", "edge", "postgres", "objects")}
    run = world.drive().run()
    run.undo("issue")
    run.undo("issue")
    assert {name: world.pem(name) for name in before} == before
    assert world.shown["postgres"] == fingerprint(before["postgres"])
    assert world.running.effects == ["up fr-par fr-gra", "up fr-par fr-gra"]


def test_a_database_that_keeps_the_old_one_is_told(world: World) -> None:
    world.reloads = False
    with pytest.raises(GateFailed, match="postgres-fr-par-0 shows another certificate"):
        world.drive().run()


def test_what_is_shown_and_kept_says_nothing_of_a_key(world: World) -> None:
    run = world.drive().run()
    told = json.dumps({name: dict(output) for name, output in run.outputs.items()})
    assert "PRIVATE" not in told
    assert "BEGIN" not in told
