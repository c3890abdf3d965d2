"""A region's database through its guard: `vitalops.ports.database.RegionDatabase` on a real cluster.

Every request is one command in the pod of the member that leads: the guard's own API is not open to the network.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from infra.components.patroni import CLUSTER_LABEL, ROLE_LABEL, ROLE_PRIMARY, ROLE_STANDBY_LEADER
from vitalops import conventions as c
from vitalops.errors import RemoteError, UsageError
from vitalops.fencing.report import GuardReport, from_json
from vitalops.fencing.standing import PairStanding
from vitalops.model.failover import Replication
from vitalops.ports.cluster import Cluster, Executed
from vitalops.ports.database import DatabaseRole, DatabaseState, Follower, Standing

CONTAINER: Final = "guard"
RELAY: Final = "/app/vitalops/guard/relay.py"
_PODS: Final = f"/api/v1/namespaces/{c.NAMESPACE_DATA}/pods"
_LEADERS: Final = (ROLE_PRIMARY, ROLE_STANDBY_LEADER)


class GuardedDatabase:
    """`RegionDatabase`. `connect` gives the region's cluster when it is first needed."""

    def __init__(self, region: str, connect: Callable[[], Cluster]) -> None:
        self._region = region
        self._connect = connect
        self._pod = ""

    @property
    def region(self) -> str:
        return self._region

    def state(self, timeout: float = 3.0) -> DatabaseState:
        return state_of(self._region, self._ask("state", {}, timeout))

    def take_standing(self, standing: Standing, timeout: float = 5.0) -> DatabaseState:
        kept = PairStanding(
            standing.active,
            standing.token,
            standing.replication.value,
            standing.proof,
            standing.spent,
        )
        return state_of(self._region, self._ask("take", {"standing": kept.to_data()}, timeout))

    def promote(self, token: int, timeout: float) -> float:
        return float(self._ask("promote", {"token": token, "timeout": timeout}, timeout)["seconds"])

    def follow(self, token: int, timeout: float) -> str:
        return str(self._ask("follow", {"token": token, "timeout": timeout}, timeout)["how"])

    def checkpoint(self, timeout: float) -> None:
        self.query("postgres", "CHECKPOINT", timeout)

    def replace_leader(self, token: int, timeout: float) -> str:
        asked = {"token": token, "timeout": timeout}
        return str(self._ask("replace-leader", asked, timeout)["leader"])

    def query(self, database: str, sql: str, timeout: float = 10.0) -> list[dict[str, str]]:
        asked = {"database": database, "sql": sql, "timeout": timeout}
        return list(self._ask("query", asked, timeout)["rows"])

    def _ask(self, name: str, asked: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        cluster = self._connect()
        command = ["python3", "-S", RELAY, str(c.GUARD_LOCAL_PORT), name, str(timeout + 1.0)]
        before = self._pod
        pod = before or self._leader(cluster, timeout)

        def execute(where: str) -> Executed:
            return cluster.execute(
                c.NAMESPACE_DATA,
                where,
                command,
                container=CONTAINER,
                send=json.dumps(asked) + "\n",
                timeout=timeout + 2.0,
            )

        try:
            done = execute(pod)
        except RemoteError:
            # Another member may lead by now.
            self._pod = ""
            if not before or (pod := self._leader(cluster, timeout)) == before:
                raise
            done = execute(pod)
        self._pod = pod
        return self._answer(done.output, done.errors)

    def _answer(self, output: str, errors: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(output)
        except ValueError:
            said = " ".join((errors or output).split())[:200]
            raise RemoteError(f"region {self._region}: its guard does not answer: {said}") from None
        if "error" not in answer:
            return answer
        kind = UsageError if answer.get("kind") == UsageError.__name__ else RemoteError
        problem = str(answer["error"])
        named = problem if self._region in problem else f"region {self._region}: {problem}"
        raise kind(named, hint=str(answer.get("hint", "")))

    def _leader(self, cluster: Cluster, timeout: float) -> str:
        """The pod of the member that leads, as Patroni has labelled it; any that runs otherwise."""
        query = {"labelSelector": f"{CLUSTER_LABEL}={c.DATABASE_CLUSTER}"}
        pods = cluster.request("GET", _PODS, query=query, timeout=timeout).get("items", [])
        running = [pod for pod in pods if pod.get("status", {}).get("phase") == "Running"]
        if not running:
            raise RemoteError(
                f"region {self._region}: no member of its database runs",
                hint=f"see: vitalops status {self._region}",
            )
        leading = [pod for pod in running if pod["metadata"].get("labels", {}).get(ROLE_LABEL) in _LEADERS]
        return str((leading or running)[0]["metadata"]["name"])


def state_of(region: str, answer: Mapping[str, Any]) -> DatabaseState:
    """From the guard's own words."""
    look, members = answer["look"], answer["members"]
    report = _report(answer["report"])
    leader = next((str(m["name"]) for m in members if m.get("role") in ("leader", "standby_leader")), "")
    kept = PairStanding.from_data(answer["standing"]) if answer["standing"] else None
    return DatabaseState(
        region=region,
        role=DatabaseRole(look["role"]),
        writable=look["role"] == "primary",
        leader=leader,
        members=len(members),
        running=sum(1 for m in members if m.get("state") in ("running", "streaming")),
        timeline=int(look["timeline"]),
        position=int(look["position"]),
        replayed=int(look["replayed"]),
        streaming=bool(look["streaming"]),
        followers=tuple(
            Follower(f["name"], bool(f["synchronous"]), int(f["lag_bytes"]), float(f["lag_seconds"]))
            for f in look["followers"]
            if f["streaming"]
        ),
        waits_for=_members(look["names"]) if look["role"] == "primary" else (),
        standing=Standing(kept.active, kept.token, Replication(kept.replication), kept.proof, kept.spent)
        if kept
        else None,
        clock=float(report.clock if report else look["clock"]),
        guard=report,
        peer=_report(answer["peer"]),
        peer_age=float(answer["peer_age"] or 0.0),
        witness=_report(answer["witness"]),
        witness_age=float(answer["witness_age"] or 0.0),
    )


def _report(document: Mapping[str, Any] | None) -> GuardReport | None:
    return from_json(json.dumps(document)) if document else None


def _members(names: str) -> tuple[str, ...]:
    """The members in PostgreSQL's synchronous_standby_names, as the guard writes it."""
    return tuple(part for part in names.split('"')[1::2])
