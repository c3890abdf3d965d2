"""Who may write, as `status` and `up` learn it from the regions; and requests to a guard in its pod."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from infra.operations.database import GuardedDatabase
from infra.operations.pairs import judged, read_standing, replication_word
from vitalops.errors import RemoteError, UsageError
from vitalops.fencing.standing import PairStanding, Proof
from vitalops.model.failover import Replication
from vitalops.model.loader import load_platform
from vitalops.model.platform import FailoverPair
from vitalops.ports.cluster import Executed, FakeCluster
from vitalops.ports.database import DatabaseRole, Standing
from vitalops.ports.fakes_database import FakePair

HERE, THERE = "fr-par", "fr-gra"
ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def france() -> FailoverPair:
    return load_platform(ROOT / "platform.yaml", date(2026, 11, 22)).pairs["france"]


def states(pair: FakePair) -> dict[str, Any]:
    return {name: each.state() for name, each in pair.databases.items()}


def test_a_pair_that_agrees(france: FailoverPair) -> None:
    found = judged(france, states(FakePair(HERE, THERE)), {})
    assert (found.active, found.problem, found.split) == (HERE, "", "")
    assert (found.replication, found.meant, replication_word(found)) == (("synchronous",) * 3)
    assert (found.lag_bytes, found.lag_seconds) == (0, 0.0)


def test_replication_that_is_not_as_meant_is_a_finding(france: FailoverPair) -> None:
    pair = FakePair(HERE, THERE)
    pair.active.names = False
    found = judged(france, states(pair), {})
    assert replication_word(found) == "asynchronous (synchronous is meant)"
    assert found.problem == "replication is asynchronous, and synchronous is meant"
    pair.active.standing = Standing(HERE, 5, Replication.ASYNCHRONOUS)
    assert "degrade-to-async --restore" in judged(france, states(pair), {}).problem


def test_a_split_pair_is_a_finding_in_one_line(france: FailoverPair) -> None:
    pair = FakePair(HERE, THERE)
    pair.standby.role = DatabaseRole.PRIMARY
    found = judged(france, states(pair), {})
    assert found.problem.startswith(
        "split: two regions take writes: fr-gra (timeline 1), fr-par (timeline 1)"
    )


def test_a_region_that_is_not_reached_is_part_of_the_answer(france: FailoverPair) -> None:
    pair = FakePair(HERE, THERE)
    found = judged(france, {HERE: pair.active.state()}, {THERE: "no answer"})
    assert found.active == HERE
    assert found.problem == "fr-gra is not reached: no answer"
    nobody = judged(france, {}, {HERE: "no answer", THERE: "no answer"})
    assert (nobody.active, nobody.replication, nobody.lag_bytes) == ("", "", None)


def test_a_kept_standing_is_read() -> None:
    cluster = FakeCluster(HERE)
    path = "/api/v1/namespaces/vitalops-data/configmaps/pair-standing"
    assert read_standing(cluster) is None
    kept = PairStanding(THERE, 7, "synchronous", Proof.CONFIRMED, spent=False, alone=True)
    cluster.objects[path] = {"data": kept.to_data()}
    assert read_standing(cluster) == kept
    cluster.objects[path] = {"data": {"token": "seven"}}
    with pytest.raises(RemoteError, match="fr-par: its standing cannot be read"):
        read_standing(cluster)


def guarded(answer: dict[str, Any] | str, *, phase: str = "Running") -> tuple[GuardedDatabase, list[str]]:
    """A region of two members, of which the second leads; and what its guard was sent."""
    sent: list[str] = []
    cluster = FakeCluster(HERE)
    for index, role in enumerate(("replica", "primary")):
        name = f"postgres-{HERE}-{index}"
        cluster.objects[f"/api/v1/namespaces/vitalops-data/pods/{name}"] = {
            "metadata": {"name": name, "labels": {"vitalops.dev/role": role}},
            "status": {"phase": phase},
        }

    def executes(_: str, pod: str, command: Sequence[str], send: str) -> Executed:
        sent.append(f"{pod} {command[4]} {send.strip()}")
        return Executed(0, answer if isinstance(answer, str) else json.dumps(answer), "")

    cluster.executes = executes
    return GuardedDatabase(HERE, lambda: cluster), sent


def test_the_guard_of_the_member_that_leads_is_asked_and_nothing_is_on_its_command_line() -> None:
    database, sent = guarded({"seconds": 0.5})
    assert database.promote(9, 30) == 0.5
    assert sent == [f'postgres-{HERE}-1 promote {{"token": 9, "timeout": 30}}']


def test_what_a_guard_refuses_is_refused_and_names_its_region() -> None:
    stale = {"error": "knows of a newer standing", "kind": "UsageError", "hint": "begin anew"}
    with pytest.raises(UsageError, match="region fr-par: knows of a newer standing") as refused:
        guarded(stale)[0].follow(9, 30)
    assert refused.value.hint == "begin anew"
    with pytest.raises(RemoteError, match="fr-par: its guard does not answer: what is this"):
        guarded("what is this")[0].checkpoint(5)
    with pytest.raises(RemoteError, match="no member of its database runs"):
        guarded({}, phase="Pending")[0].state()


def test_a_state_is_made_of_the_guards_words() -> None:
    report = {
        "pair": "france",
        "place": HERE,
        "token": 4,
        "active": HERE,
        "role": "primary",
        "writable": True,
        "fenced": "",
        "replication": "synchronous",
        "confirmed": True,
        "received": 0,
        "sees": [{"place": THERE, "reached": True, "seconds": 3.0}],
        "clock": 1000.0,
    }
    follower = {
        "name": "postgres-fr-gra-0",
        "streaming": True,
        "synchronous": True,
        "lag_bytes": 8,
        "lag_seconds": 0.1,
    }
    answer = {
        "report": report,
        "standing": PairStanding(HERE, 4, "synchronous").to_data(),
        "look": {
            "role": "primary",
            "names": 'ANY 1 ("postgres-fr-gra-0", "postgres-fr-gra-1")',
            "clock": 999.0,
            "position": 50,
            "replayed": 50,
            "timeline": 3,
            "streaming": False,
            "followers": [follower, {**follower, "name": "postgres-fr-gra-1", "streaming": False}],
        },
        "members": [{"name": "postgres-fr-par-1", "role": "leader", "state": "running"}],
        "peer": None,
        "peer_age": None,
        "witness": None,
        "witness_age": None,
    }
    found = guarded(answer)[0].state()
    assert (found.role, found.writable, found.leader) == (DatabaseRole.PRIMARY, True, "postgres-fr-par-1")
    assert found.waits_for == ("postgres-fr-gra-0", "postgres-fr-gra-1")
    assert [each.name for each in found.followers] == ["postgres-fr-gra-0"]
    assert (found.clock, found.timeline, found.replication) == (1000.0, 3, Replication.SYNCHRONOUS)
    assert found.standing == Standing(HERE, 4, Replication.SYNCHRONOUS)
