"""Room on a region's volumes: what fills them, and what may go, in the order of how little it is missed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from runbooks.common.waiting import wait_until
from runbooks.common.workloads import require_region
from runbooks.engine.model import (
    AlertBinding,
    Change,
    Output,
    Parameters,
    Risk,
    Runbook,
    Step,
    StepContext,
    Target,
    Verdict,
)
from vitalops import conventions as c
from vitalops.errors import GateFailed, RemoteError, UsageError
from vitalops.model.platform import Platform
from vitalops.model.selection import pair_of
from vitalops.ports.backups import Archiving, RegionBackups
from vitalops.ports.cluster import ApiError, Cluster, Json

NAME: Final = "disk-pressure"
MEBIBYTE: Final = 1 << 20
WAITING: Final = 2
"""Segments that may wait to be archived: the one that is being sent, and the next."""
KEPT_WAL: Final = 768 * MEBIBYTE
"""WAL that PostgreSQL keeps on purpose: max_wal_size, wal_keep_size, and a checkpoint's worth."""
_CLAIMS: Final = "/api/v1/namespaces/{}/persistentvolumeclaims"
_SERVER: Final = f"/apis/apps/v1/namespaces/{c.NAMESPACE_BACKUPS}/statefulsets/{c.OBJECTS_SERVICE}"
_SERVER_PODS: Final = f"/api/v1/namespaces/{c.NAMESPACE_BACKUPS}/pods"
_FREE: Final = (
    "min by (namespace, persistentvolumeclaim)"
    " (kubelet_volume_stats_available_bytes / kubelet_volume_stats_capacity_bytes)"
)
_UNITS: Final = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}


class DiskParameters(Parameters):
    region: str
    """The region whose volumes fill."""
    least_free: float = 0.15
    """Part of a volume that should be free."""
    claim: str = ""
    """`namespace/claim` of a volume to make larger, where its storage class can."""
    grow_to: str = ""
    """Its new size, such as 8Gi."""


Context = StepContext[DiskParameters]


def free(context: Context) -> dict[str, float]:
    """`namespace/claim` -> the part of it that is free, as the kubelet says; nothing where metrics are away."""
    try:
        found = context.running.metrics(context.parameters.region).instant(_FREE)
    except RemoteError:
        return {}
    return {
        f"{each.labels.get('namespace', '')}/{each.labels.get('persistentvolumeclaim', '')}": round(
            each.value, 4
        )
        for each in found
    }


def _short(context: Context) -> list[str]:
    return sorted(name for name, part in free(context).items() if part < context.parameters.least_free)


def _backups(context: Context) -> RegionBackups:
    return context.running.backups(context.parameters.region)


def _archiving(context: Context) -> Archiving | None:
    """None where the region's database is not the primary: a standby archives nothing."""
    return _backups(context).archiving()


def _look_check(context: Context) -> Verdict:
    return Verdict.due(f"the volumes of {context.parameters.region} are looked at")


def _look(context: Context) -> Output:
    found = _archiving(context)
    wal = (
        {"wal_bytes": found.wal_bytes, "waiting": found.waiting, "behind_seconds": found.behind_seconds}
        if found
        else {}
    )
    return {"free": free(context), "short": _short(context), **wal}


def _archive_check(context: Context) -> Verdict:
    found = _archiving(context)
    if found is None:
        return Verdict.done("its database is a standby: it archives nothing")
    if found.waiting <= WAITING:
        return Verdict.done("WAL is archived as it is written")
    holder = _backups(context).holder
    problem, server = _server(context)
    changes = [Change(f"WAL of {context.parameters.region}", f"{found.waiting} segments wait", "archived")]
    if problem:
        changes.append(Change(f"S3 server of {holder}", problem, "ready"))
    return Verdict.due(
        f"WAL has been waiting for {found.behind_seconds:g} s",
        *changes,
        facts={"replicas": int(server["spec"].get("replicas", 1))},
    )


def _server(context: Context) -> tuple[str, Json]:
    """Why the S3 server that the WAL goes to does not serve, empty where it does; and its StatefulSet."""
    found = context.running.cluster(_backups(context).holder).request("GET", _SERVER)
    if not found["spec"].get("replicas", 1):
        return "scaled to nothing", found
    return ("" if found.get("status", {}).get("readyReplicas", 0) else "not ready"), found


def _archive(context: Context) -> Output:
    """Gets the S3 server going where it is not, and waits until the WAL has gone to it."""
    cluster = context.running.cluster(_backups(context).holder)
    problem, _ = _server(context)
    did = ""
    if problem == "scaled to nothing":
        cluster.request(
            "PATCH", _SERVER, body={"spec": {"replicas": 1}}, content_type="application/merge-patch+json"
        )
        did = "its S3 server was scaled to one again"
    elif problem:
        _restart(cluster)
        did = "its S3 server was started anew"
    seconds = wait_until(context, "WAL is archived", lambda: _behind(context))
    return {"did": did, "seconds": round(seconds, 1)}


def _restart(cluster: Cluster) -> None:
    pods = cluster.request(
        "GET", _SERVER_PODS, query={"labelSelector": f"{c.LABEL_NAME}={c.OBJECTS_SERVICE}"}
    )
    for pod in pods["items"]:
        try:
            cluster.request("DELETE", f"{_SERVER_PODS}/{pod['metadata']['name']}")
        except ApiError as error:
            if error.status != 404:
                raise


def _behind(context: Context) -> str:
    found = _archiving(context)
    return f"{found.waiting} segments wait" if found and found.waiting > WAITING else ""


def _archived(context: Context) -> None:
    if reason := _behind(context):
        raise GateFailed(f"WAL of {context.parameters.region} is not archived: {reason}")


def _wal_check(context: Context) -> Verdict:
    found = _archiving(context)
    if found is None or found.wal_bytes <= KEPT_WAL:
        return Verdict.done("there is no more WAL than is kept on purpose")
    have, kept = found.wal_bytes // MEBIBYTE, KEPT_WAL // MEBIBYTE
    return Verdict.due("what is archived can go", Change("WAL on disk", f"{have} MiB", f"{kept} MiB or less"))


def _wal(context: Context) -> Output:
    before = _archiving(context)
    context.running.database(context.parameters.region).checkpoint(context.seconds - 5)
    after = _archiving(context)
    return {
        "before_bytes": before.wal_bytes if before else 0,
        "after_bytes": after.wal_bytes if after else 0,
    }


def _expire_check(context: Context) -> Verdict:
    source = _source_held_here(context)
    short = [name for name in _short(context) if name.startswith(f"{c.NAMESPACE_BACKUPS}/")]
    if not short:
        return Verdict.done("the volume of backups has room")
    if source is None:
        return Verdict.done("the region whose backups are held here is a standby: nothing expires")
    change = Change(f"backups of {source.region}", "as they are", "those that the retention rule keeps")
    return Verdict.due("backups beyond the retention rule can go", change)


def _source_held_here(context: Context) -> RegionBackups | None:
    """Backups of the pair's other region, which are on this region's volume."""
    pair = pair_of(context.running.platform, context.parameters.region)
    assert pair is not None, "require_region was asked first"
    other = pair.standby if context.parameters.region == pair.primary else pair.primary
    found = context.running.backups(other)
    return found if found.archiving() is not None else None


def _expire(context: Context) -> Output:
    source = _source_held_here(context)
    return {"expired": source.expire(context.seconds - 10) if source else 0}


def size(quantity: str) -> int:
    """Bytes of a Kubernetes quantity with a binary suffix. Raises UsageError."""
    number, unit = quantity[:-2], quantity[-2:]
    if unit not in _UNITS or not number.isdigit():
        raise UsageError(f"{quantity!r} is no size", hint="a whole number with Mi, Gi or Ti, such as 8Gi")
    return int(number) * _UNITS[unit]


def _claim(context: Context) -> tuple[str, Json]:
    namespace, _, name = context.parameters.claim.partition("/")
    path = f"{_CLAIMS.format(namespace)}/{name}"
    return path, context.running.cluster(context.parameters.region).request("GET", path)


def _grow_check(context: Context) -> Verdict:
    wanted = context.parameters.grow_to
    if not wanted:
        return Verdict.done("no larger volume was asked for")
    _, claim = _claim(context)
    now = str(claim["spec"]["resources"]["requests"]["storage"])
    if size(wanted) <= size(now):
        return Verdict.done(f"{context.parameters.claim} has {now} already")
    name = str(claim["spec"].get("storageClassName", ""))
    kind = context.running.cluster(context.parameters.region).request(
        "GET", f"/apis/storage.k8s.io/v1/storageclasses/{name}"
    )
    if not kind.get("allowVolumeExpansion"):
        raise UsageError(
            f"storage class {name} of {context.parameters.region} cannot make a volume larger",
            hint="on this machine volumes are folders: free its disk",
        )
    return Verdict.due("its storage class can", Change(context.parameters.claim, now, wanted))


def _grow(context: Context) -> Output:
    path, _ = _claim(context)
    wanted = context.parameters.grow_to
    context.running.cluster(context.parameters.region).request(
        "PATCH",
        path,
        body={"spec": {"resources": {"requests": {"storage": wanted}}}},
        content_type="application/merge-patch+json",
    )

    def grown() -> str:
        _, claim = _claim(context)
        have = str(claim.get("status", {}).get("capacity", {}).get("storage", "0Mi"))
        return "" if size(have) >= size(wanted) else f"it has {have}"

    return {"seconds": round(wait_until(context, context.parameters.claim, grown), 1)}


def _room_check(context: Context) -> Verdict:
    return Verdict.due("the volumes are looked at again")


def _room(context: Context) -> Output:
    """Raises GateFailed where a volume is still short: then somebody must decide what may go."""
    short, parts = _short(context), free(context)
    if short:
        told = ", ".join(f"{name} ({parts.get(name, 0.0):.0%} free)" for name in short)
        raise GateFailed(
            f"still short of room: {told}",
            hint="grow it (--claim, --grow-to), keep fewer backups (backups.keep_full), or free the disk under it",
        )
    return {"free": parts}


def _targets(parameters: DiskParameters, platform: Platform) -> tuple[Target, ...]:
    require_region(platform, parameters.region)
    if bool(parameters.claim) != bool(parameters.grow_to):
        raise UsageError("--claim and --grow-to go together")
    if parameters.grow_to:
        size(parameters.grow_to)
        if parameters.claim.count("/") != 1:
            raise UsageError(f"{parameters.claim!r} is no claim", hint="as namespace/name")
    return (Target("region", parameters.region),)


def _regions(parameters: DiskParameters, platform: Platform) -> tuple[str, ...]:
    require_region(platform, parameters.region)
    return (parameters.region,)


def _from_alert(labels: Mapping[str, str], platform: Platform) -> DiskParameters | None:
    region: Any = labels.get(c.METRIC_REGION, "")
    return DiskParameters(region=region) if region in platform.regions else None


DESCRIPTION: Final = """\
Use it when `DiskFilling` or `ArchiveLagging` fires.

What fills a database's volume is, nearly always, WAL that cannot leave: the S3 server of the pair's other region is
away, so nothing is archived. The run gets it going again, waits until the WAL is gone, and lets PostgreSQL remove it.
(Beyond a quarter of the volume pgBackRest lets go of WAL by itself, and a backup follows: writes never stop for the
archive. Replication slots hold 768 MB at most, and Patroni drops those that nobody owns.)

What fills the volume of backups is the other region's backups: those beyond the retention rule go.

A volume is made larger only when you say so (`--claim`, `--grow-to`), and where its storage class can; it never gets
smaller again. Nothing that holds data is deleted: where that is not enough, the run stops and says which volume.
"""

RUNBOOK: Final = Runbook(
    name=NAME,
    summary="A region's volumes have room again, without losing anything that is needed",
    description=DESCRIPTION,
    risk=Risk.CHANGES,
    parameters=DiskParameters,
    example="vitalops runbook run disk-pressure --region fr-par",
    targets=_targets,
    regions=_regions,
    answers=(
        AlertBinding(c.ALERT_DISK_FILLING, _from_alert),
        AlertBinding(c.ALERT_ARCHIVE_LAG, _from_alert, starts=True),
    ),
    undoes_on_failure=False,
    steps=(
        Step(
            name="look",
            summary="How full the volumes are, and of what",
            limit_seconds=120,
            check=_look_check,
            apply=_look,
            reads_only=True,
        ),
        Step(
            name="archive",
            summary="WAL reaches the other region again",
            limit_seconds=900,
            check=_archive_check,
            apply=_archive,
            verify=_archived,
            lasting="an S3 server that serves is how it should be",
        ),
        Step(
            name="wal",
            summary="WAL that is archived is off the database's disk",
            limit_seconds=300,
            check=_wal_check,
            apply=_wal,
            lasting="the WAL is in the repository",
        ),
        Step(
            name="expire",
            summary="Backups beyond the retention rule are gone",
            limit_seconds=900,
            check=_expire_check,
            apply=_expire,
            lasting="the rule of platform.yaml says that they go",
        ),
        Step(
            name="grow",
            summary="The volume that was named is larger",
            limit_seconds=900,
            check=_grow_check,
            apply=_grow,
            lasting="no volume becomes smaller",
        ),
        Step(
            name="room",
            summary="Every volume has room",
            limit_seconds=60,
            check=_room_check,
            apply=_room,
            lasting="it only reads",
        ),
    ),
    rehearsal="tests/cluster/runbooks/test_disk_pressure.py",
    tags=("database", "backups"),
)
