"""Draining queues: each message one more chance, at a bounded rate, and what is refused again is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from runbooks.queue_drain import RUNBOOK, DrainParameters, _from_alert
from tests.unit.runbooks.clusters import DeployingCluster
from tests.unit.runbooks.drive import FACTS, Drive
from vitalops.conventions import NAMESPACE_SERVICES
from vitalops.errors import GateFailed, UsageError
from vitalops.model.platform import Platform
from vitalops.model.selection import services_of
from vitalops.ports.cluster import Executed
from vitalops.ports.fakes import FakeRunning

BEGAN = FACTS.started


@dataclass
class Outbox:
    """One service's queue: times at which messages were made, or given up."""

    waiting: list[float] = field(default_factory=list[float])
    given_up: list[float] = field(default_factory=list[float])
    refuses: bool = False
    delivers: bool = True
    replays: list[int] = field(default_factory=list[int])

    def answer(self, arguments: Sequence[str]) -> object:
        if not arguments:
            if self.delivers:
                self.waiting.clear()
            return [
                {
                    "queue": "outbox",
                    "waiting": len(self.waiting),
                    "oldest": min(self.waiting, default=0),
                    "given_up": len(self.given_up),
                    "first_given_up": min(self.given_up, default=0),
                    "last_given_up": max(self.given_up, default=0),
                }
            ]
        assert list(arguments[:3]) == ["--replay", "outbox", "--before"]
        before, limit = float(arguments[3]), int(arguments[5])
        chosen = [each for each in self.given_up if each <= before][:limit]
        for each in chosen:
            self.given_up.remove(each)
            (self.given_up if self.refuses else self.waiting).append(BEGAN + 5 if self.refuses else each)
        self.replays.append(len(chosen))
        return {"replayed": len(chosen)}


@dataclass
class Queues:
    platform: Platform
    outboxes: dict[str, Outbox] = field(default_factory=dict[str, Outbox])

    def running(self) -> FakeRunning:
        cluster = DeployingCluster("fr-par", executes=self.execute)
        for service in services_of(self.platform, "france"):
            cluster.deploy(NAMESPACE_SERVICES, service.name, "services:1")
        return FakeRunning(self.platform, clusters={"fr-par": cluster})

    def execute(self, _: str, pod: str, command: Sequence[str], sent: str) -> Executed:
        assert command[:3] == ("python3", "-m", "services.common.queues")
        assert pod.startswith(f"{command[3]}-")
        assert sent == ""
        answer = self.outboxes.setdefault(command[3], Outbox()).answer(command[4:])
        return Executed(0, json.dumps(answer) + "\n", "")

    def drive(self, **parameters: object) -> Drive:
        return Drive(RUNBOOK, DrainParameters(pair="france", **parameters), self.running())  # type: ignore[arg-type]


def test_everything_is_delivered_at_a_bounded_rate(platform: Platform) -> None:
    queues = Queues(platform, {"consent": Outbox(given_up=[BEGAN - 60 + each for each in range(25)])})
    run = queues.drive(per_second=10).run()
    assert queues.outboxes["consent"].replays == [10, 10, 5]
    assert run.outputs["replay"]["replayed"] == {"consent.outbox": 25}
    assert run.running.clock.elapsed >= 2.0
    assert run.outputs["replay"]["queues"]["consent.outbox"]["given_up"] == 25
    assert not run.check("replay").needed
    assert not run.check("drain").needed


def test_nothing_to_do_is_said(platform: Platform) -> None:
    run = Queues(platform).drive().run()
    assert [name for name, verdict in run.verdicts.items() if verdict.needed] == []


def test_what_is_refused_again_fails_the_run_and_is_not_tried_a_third_time(platform: Platform) -> None:
    outbox = Outbox(given_up=[BEGAN - 1], refuses=True)
    run = Queues(platform, {"records": outbox}).drive()
    with pytest.raises(GateFailed, match=r"refused again: records\.outbox"):
        run.run()
    assert outbox.replays == [1]
    assert not run.check("replay").needed


def test_a_receiver_that_is_gone_is_told(platform: Platform) -> None:
    run = Queues(platform, {"records": Outbox(waiting=[BEGAN - 3], delivers=False)}).drive()
    with pytest.raises(GateFailed, match=r"there wait 1 in records\.outbox after 300 s"):
        run.run()


def test_new_messages_do_not_keep_it_waiting(platform: Platform) -> None:
    run = Queues(platform, {"records": Outbox(waiting=[BEGAN + 1], delivers=False)}).drive().run()
    assert not run.verdicts["drain"].needed


def test_one_service_alone(platform: Platform) -> None:
    queues = Queues(platform, {name: Outbox(given_up=[BEGAN - 1]) for name in ("records", "consent")})
    queues.drive(service="records").run()
    assert (queues.outboxes["records"].replays, queues.outboxes["consent"].replays) == ([1], [])
    with pytest.raises(UsageError, match="no service nobody with queues"):
        RUNBOOK.targets(DrainParameters(pair="france", service="nobody"), platform)


def test_it_answers_the_alerts_whose_runbook_it_is(platform: Platform) -> None:
    assert _from_alert({"runbook": "queue-drain", "pair": "france"}, platform) == DrainParameters(
        pair="france"
    )
    assert _from_alert({"runbook": "scale-out", "pair": "france"}, platform) is None
