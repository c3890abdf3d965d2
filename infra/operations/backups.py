"""`vitalops.ports.backups.RegionBackups` on a running platform, by commands in the pods that have pgBackRest."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from infra.components import scratch
from infra.components.args import RegionArgs
from infra.components.backup import NAME
from infra.components.database import member_set
from infra.components.patroni import POSTGRES, ROLE_LABEL, ROLE_PRIMARY
from vitalops import conventions as c
from vitalops.backup import variables as v
from vitalops.errors import RemoteError
from vitalops.ports.backups import (
    Archiving,
    Backup,
    BackupState,
    Fingerprint,
    Fingerprints,
    RestorePhase,
    RestorePoint,
    RestoreState,
    RestoreTarget,
    TargetKind,
)
from vitalops.ports.cluster import ApiError, Cluster, Json

DATA: Final = f"/api/v1/namespaces/{c.NAMESPACE_DATA}"
POLL_SECONDS: Final = 0.5
NOT_PRIMARY: Final = "its database is not the primary: backups are made of the pair's other region"
_COLLECTIONS: Final = {
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Pod": "/api/v1/namespaces/{}/pods",
}


class ClusterBackups:
    """Backups of one region. `connect` gives a region's cluster; `args` are those of the region's stack."""

    def __init__(
        self, args: RegionArgs, connect: Callable[[str], Cluster], clock: Callable[[], float] = time.time
    ) -> None:
        pair = args.platform.pairs[args.pair]
        self._args = args
        self._connect = connect
        self._now = clock
        self.region = args.region
        self.holder = pair.standby if args.region == pair.primary else pair.primary

    def state(self) -> BackupState:
        pod = self._primary()
        if pod is None:
            return BackupState(self.region, (), "", "", False, NOT_PRIMARY)
        found = self._ask(pod, ("state",), 90.0)
        repository, archiver = found["repository"], found["archiver"]
        return BackupState(
            region=self.region,
            backups=tuple(_backup(held) for held in repository.get("backups", ())),
            oldest_wal=repository.get("oldest", ""),
            archived=repository.get("newest", ""),
            encrypted=repository.get("cipher", "none") not in ("", "none"),
            problem=repository.get("problem", ""),
            archiving=self._archiving(archiver) if archiver and archiver["primary"] else None,
        )

    def archiving(self) -> Archiving | None:
        pod = self._primary()
        found = self._ask(pod, ("archiver",), 20.0) if pod else None
        return self._archiving(found) if found and found["primary"] else None

    def make(self, kind: str, timeout: float, mark: str = "") -> Backup:
        mark = mark or f"asked-{int(self._now() * 1000)}"
        for held in self._usable().backups:
            if held.mark == mark:
                return held
        command = ("make", f"--kind={kind}", f"--mark={mark}", f"--seconds={max(timeout - 5, 1):g}")
        result = self._ask(self._require_primary(), command, timeout)
        if not result["ok"]:
            raise RemoteError(f"region {self.region}: {result['problem']}")
        made = [held for held in self._usable().backups if held.mark == mark]
        if not made:
            raise RemoteError(f"region {self.region}: the backup was made and is not in the repository")
        return made[-1]

    def expire(self, timeout: float) -> int:
        before = len(self._usable().backups)
        self._ask(self._require_primary(), ("expire",), timeout)
        return before - len(self._usable().backups)

    def point(self, name: str, timeout: float) -> RestorePoint:
        command = ("point", f"--name={name}", f"--seconds={max(timeout - 5, 1):g}")
        taken = self._ask(self._require_primary(), command, timeout)
        return RestorePoint(
            taken["name"],
            taken["position"],
            datetime.fromtimestamp(taken["at"], UTC),
            _fingerprints(taken["prints"]),
        )

    def begin_restore(self, run: str, target: RestoreTarget) -> str:
        cluster, namespace = self._connect(self.holder), scratch.namespace_name(run)
        _create(cluster, "/api/v1/namespaces", scratch.scratch_namespace(run, self._args, self.holder))
        if target.kind is TargetKind.TIME:
            moment = datetime.fromisoformat(target.moment).astimezone(UTC)
            target = RestoreTarget(target.kind, f"{moment:%Y-%m-%d %H:%M:%S.%f}+00")
        image = self._image(cluster)
        for made in scratch.scratch_objects(run, self._args, self.holder, image, target):
            _create(cluster, _COLLECTIONS[made["kind"]].format(namespace), made)
        return namespace

    def restore_state(self, run: str) -> RestoreState:
        cluster, namespace = self._connect(self.holder), scratch.namespace_name(run)
        try:
            pod = cluster.request("GET", f"/api/v1/namespaces/{namespace}/pods/{scratch.POD}")
        except ApiError as error:
            if error.status != 404:
                raise
            return RestoreState(RestorePhase.ABSENT)
        if pod["metadata"].get("deletionTimestamp"):
            return RestoreState(RestorePhase.ABSENT)
        phase = pod.get("status", {}).get("phase", "Pending")
        if phase == "Pending":
            return RestoreState(RestorePhase.STARTING)
        if phase != "Running":
            return RestoreState(RestorePhase.FAILED, problem=_last_words(cluster, namespace))
        done = cluster.execute(
            namespace, scratch.POD, ["cat", f"{v.SPOOL}/status.json"], container=NAME, timeout=20.0
        )
        if done.status:
            return RestoreState(RestorePhase.STARTING)
        told: dict[str, Any] = json.loads(done.output)
        return RestoreState(RestorePhase(told.pop("phase")), **told)

    def restored(self, run: str, timeout: float) -> Fingerprints:
        cluster, namespace = self._connect(self.holder), scratch.namespace_name(run)
        found = _run(cluster, namespace, scratch.POD, ("fingerprints",), timeout)
        return _fingerprints(found)

    def end_restore(self, run: str, timeout: float) -> None:
        cluster, path = self._connect(self.holder), f"/api/v1/namespaces/{scratch.namespace_name(run)}"
        deadline = self._now() + timeout
        while self._now() < deadline:
            try:
                found = cluster.request("GET", path)
                if not found["metadata"].get("deletionTimestamp"):
                    cluster.request("DELETE", path)
            except ApiError as error:
                if error.status == 404:
                    return
                if error.status != 409:
                    raise
            time.sleep(POLL_SECONDS)
        raise RemoteError(f"region {self.holder}: {scratch.namespace_name(run)} is not gone yet")

    def _archiving(self, archiver: Json) -> Archiving:
        waiting = int(archiver["waiting"])
        behind = max(self._now() - archiver["waiting_since"], 0.0) if waiting else 0.0
        return Archiving(waiting, round(behind, 1), archiver["last_wal"], int(archiver["wal_bytes"]))

    def _usable(self) -> BackupState:
        state = self.state()
        if state.problem:
            raise RemoteError(f"region {self.region}: {state.problem}")
        return state

    def _primary(self) -> str | None:
        """Pod of the primary; None where the region has none."""
        selector = f"{c.LABEL_NAME}={POSTGRES},{ROLE_LABEL}={ROLE_PRIMARY}"
        found = self._connect(self.region).request("GET", f"{DATA}/pods", query={"labelSelector": selector})
        names = sorted(
            item["metadata"]["name"]
            for item in found["items"]
            if not item["metadata"].get("deletionTimestamp")
        )
        return names[0] if names else None

    def _require_primary(self) -> str:
        pod = self._primary()
        if pod is None:
            raise RemoteError(f"region {self.region}: {NOT_PRIMARY}")
        return pod

    def _ask(self, pod: str, command: Sequence[str], timeout: float) -> Json:
        return _run(self._connect(self.region), c.NAMESPACE_DATA, pod, command, timeout)

    def _image(self, cluster: Cluster) -> str:
        """The image that the holder's own database runs."""
        name = member_set(self._args).replace(self.region, self.holder)
        path = f"/apis/apps/v1/namespaces/{c.NAMESPACE_DATA}/statefulsets/{name}"
        containers = cluster.request("GET", path)["spec"]["template"]["spec"]["containers"]
        return str(next(each["image"] for each in containers if each["name"] == POSTGRES))


def _run(cluster: Cluster, namespace: str, pod: str, command: Sequence[str], timeout: float) -> Any:
    """The answer of `python3 -m vitalops.backup`. Raises RemoteError with what it said instead."""
    done = cluster.execute(
        namespace, pod, ["python3", "-m", "vitalops.backup", *command], container=NAME, timeout=timeout
    )
    if done.status:
        reason = (done.errors.strip().splitlines() or ["no reason given"])[-1].removeprefix("backup: ")
        raise RemoteError(f"region {cluster.name}: {reason}")
    try:
        return json.loads(done.output)
    except ValueError:
        raise RemoteError(f"region {cluster.name}: {command[0]} answered nothing that can be read") from None


def _create(cluster: Cluster, collection: str, made: Json) -> None:
    try:
        cluster.request("POST", collection, body=made)
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise


def _last_words(cluster: Cluster, namespace: str) -> str:
    try:
        said = cluster.text(
            f"/api/v1/namespaces/{namespace}/pods/{scratch.POD}/log", query={"tailLines": "3"}
        )
    except RemoteError:
        return "its pod ended"
    lines = said.strip().splitlines()
    return (lines[-1] if lines else "its pod ended").removeprefix("backup: ")[:400]


def _backup(held: Json) -> Backup:
    return Backup(
        label=held["label"],
        kind=held["kind"],
        started=datetime.fromtimestamp(held["started"], UTC),
        ended=datetime.fromtimestamp(held["ended"], UTC),
        database_bytes=held["database_bytes"],
        stored_bytes=held["stored_bytes"],
        mark=held["mark"],
    )


def _fingerprints(told: Json) -> Fingerprints:
    return {table: Fingerprint(int(rows), str(hashes)) for table, (rows, hashes) in told.items()}
