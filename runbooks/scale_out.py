"""More replicas of a service or of the gateway, where the region has room for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from runbooks.common.capacity import room
from runbooks.common.indicators import reading
from runbooks.common.waiting import wait_until
from runbooks.common.workloads import (
    Workload,
    deployment,
    require_region,
    rollout_waits_for,
    workload,
)
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
from vitalops.errors import GateFailed, UsageError
from vitalops.model.platform import Platform
from vitalops.ports.cluster import MERGE, ApiError, Cluster, Json

NAME: Final = "scale-out"
SLIS: Final = ("prompt", "answered")


class ScaleParameters(Parameters):
    service: str
    """The service to scale, or `gateway`."""
    region: str
    """The region in which it is scaled."""
    replicas: Annotated[int, Field(ge=0, le=100)] = 0
    """Replicas that it gets, at least; 0: one more than there are."""


Context = StepContext[ScaleParameters]


def _place(context: Context) -> tuple[Cluster, Workload]:
    parameters, running = context.parameters, context.running
    return running.cluster(parameters.region), workload(
        running.platform, parameters.region, parameters.service
    )


def _autoscaler(cluster: Cluster, target: Workload) -> Json | None:
    try:
        return cluster.request("GET", target.autoscaler)
    except ApiError as error:
        if error.status != 404:
            raise
        return None


def _standing(context: Context) -> dict[str, Any]:
    """How things are, and what is wanted."""
    cluster, target = _place(context)
    owner, scaler = deployment(cluster, target), _autoscaler(cluster, target)
    replicas = int(owner["spec"].get("replicas", 1))
    wanted = context.parameters.replicas or replicas + 1
    found: dict[str, Any] = {"replicas": replicas, "wanted": wanted, "autoscaled": scaler is not None}
    if scaler is not None:
        found["minimum"] = int(scaler["spec"].get("minReplicas", 1))
        found["maximum"] = int(scaler["spec"]["maxReplicas"])
    return found


def _room_check(context: Context) -> Verdict:
    cluster, target = _place(context)
    found = _standing(context)
    more = found["wanted"] - found["replicas"]
    if more < 0:
        raise UsageError(
            f"{target.name} in {cluster.name} has {found['replicas']} replicas already",
            hint=f"ask for more than that: --replicas {found['replicas'] + 1}",
        )
    space = room(cluster, target, deployment(cluster, target)["spec"]["template"])
    if more > space.pods:
        raise UsageError(
            f"{cluster.name} has room for {space.pods} more pods of {target.name}, not for {more}: {space.limited}",
            hint="add nodes, raise the quota, or ask for fewer",
        )
    parameters = context.parameters
    before = {
        sli: reading(context.running, parameters.region, sli, parameters.service).document() for sli in SLIS
    }
    return Verdict.due(
        f"room for {space.pods} more pods of {target.name}, limited by {space.limited}",
        facts={**found, "room": space.pods, "indicators": before},
    )


def _is_there(found: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    if now["autoscaled"]:
        return bool(now["minimum"] >= found["wanted"])
    return bool(now["replicas"] >= found["wanted"])


def _scale_check(context: Context) -> Verdict:
    cluster, target = _place(context)
    found, now = context.outputs["room"], _standing(context)
    wanted = found["wanted"]
    if _is_there(found, now) and not _waits_for(cluster, target, wanted):
        return Verdict.done(f"{target.name} has {wanted} replicas")
    if now["autoscaled"]:
        change = Change(f"{target.name}, fewest replicas", str(now["minimum"]), str(wanted))
        return Verdict.due(f"its autoscaler keeps at least {wanted} from now on", change)
    return Verdict.due(
        f"{wanted} replicas", Change(f"{target.name}, replicas", str(now["replicas"]), str(wanted))
    )


def _scale(context: Context) -> Output:
    found = context.outputs["room"]
    cluster, target = _place(context)
    wanted = int(found["wanted"])
    if found["autoscaled"]:
        spec = {"minReplicas": wanted, "maxReplicas": max(wanted, int(found["maximum"]))}
        cluster.request("PATCH", target.autoscaler, body={"spec": spec}, content_type=MERGE)
    else:
        cluster.request("PATCH", target.path, body={"spec": {"replicas": wanted}}, content_type=MERGE)
    seconds = wait_until(context, target.name, lambda: _waits_for(cluster, target, wanted))
    return {"seconds": round(seconds, 1)}


def _waits_for(cluster: Cluster, target: Workload, wanted: int) -> str:
    owner = deployment(cluster, target)
    if int(owner["spec"].get("replicas", 1)) < wanted:
        return "its autoscaler has not acted yet"
    return rollout_waits_for(owner)


def _scale_verify(context: Context) -> None:
    cluster, target = _place(context)
    wanted = int(context.outputs["room"]["wanted"])
    if reason := _waits_for(cluster, target, wanted):
        raise GateFailed(f"{target.name} in {cluster.name} does not have {wanted} replicas: {reason}")


def _scale_undo(context: Context) -> None:
    found = context.outputs["room"]
    cluster, target = _place(context)
    if found["autoscaled"]:
        spec = {"minReplicas": found["minimum"], "maxReplicas": found["maximum"]}
        cluster.request("PATCH", target.autoscaler, body={"spec": spec}, content_type=MERGE)
        # An autoscaler is slow to take pods away; they were not asked for any more.
    cluster.request("PATCH", target.path, body={"spec": {"replicas": found["replicas"]}}, content_type=MERGE)


def _measure(context: Context) -> Output:
    p, before = context.parameters, context.outputs["room"]["indicators"]
    after = {sli: reading(context.running, p.region, sli, p.service) for sli in SLIS}
    worse = [
        sli
        for sli, now in after.items()
        if now.bad is not None and before[sli]["bad"] is not None and now.bad > before[sli]["bad"]
    ]
    return {"indicators": {sli: now.document() for sli, now in after.items()}, "worse": worse}


def _from_alert(labels: Mapping[str, str], platform: Platform) -> ScaleParameters | None:
    service, region = labels.get(c.METRIC_SERVICE, ""), labels.get(c.METRIC_REGION, "")
    if labels.get(c.METRIC_RUNBOOK) != NAME or region not in platform.regions:
        return None
    if service not in platform.services and service != c.GATEWAY_SERVICE:
        return None
    return ScaleParameters(service=service, region=region)


def _targets(parameters: ScaleParameters, platform: Platform) -> tuple[Target, ...]:
    workload(platform, parameters.region, parameters.service)
    return (Target("service", f"{parameters.region}.{parameters.service}"),)


def _regions(parameters: ScaleParameters, platform: Platform) -> tuple[str, ...]:
    require_region(platform, parameters.region)
    return (parameters.region,)


DESCRIPTION: Final = """\
Use it when a service answers slowly because there is too much for its pods to do. Where an autoscaler owns the number
of replicas, its minimum is raised (and its maximum, where that is lower); elsewhere the Deployment's replicas are.

It refuses when the region has no room: what the nodes can still promise (allocatable less what the running pods
request), and the namespace's quota. The refusal says which of them ends first.

It waits until all replicas are ready, and then reads the indicators again. They look at the last five minutes, so they
follow slowly: what is shown as worse may be what came before. `vitalops up` puts the numbers of platform.yaml back:
to keep them, write them there (`services.NAME.replicas`, `gateway.replicas`).

When it stops: pods that do not become ready are taken away again; `vitalops status` and `vitalops logs` say why.
"""

RUNBOOK: Final = Runbook(
    name=NAME,
    summary="Give a service or the gateway more replicas, where there is room.",
    description=DESCRIPTION,
    risk=Risk.CHANGES,
    parameters=ScaleParameters,
    example="vitalops runbook run scale-out --service scheduling --region fr-par --replicas 2",
    targets=_targets,
    regions=_regions,
    protects=SLIS,
    answers=(AlertBinding(c.ALERT_BURN, _from_alert),),
    rehearsal="tests/cluster/runbooks/test_scale_out.py",
    steps=(
        Step(
            name="room",
            summary="See how many more pods the region can take, and read the indicators.",
            limit_seconds=30,
            check=_room_check,
            apply=lambda _: {},
            lasting="only reads",
            reads_only=True,
        ),
        Step(
            name="scale",
            summary="Raise the number of replicas and wait until all are ready.",
            limit_seconds=300,
            check=_scale_check,
            apply=_scale,
            verify=_scale_verify,
            undo=_scale_undo,
        ),
        Step(
            name="measure",
            summary="Read the indicators again.",
            limit_seconds=30,
            check=lambda _: Verdict.due("the indicators of the last five minutes"),
            apply=_measure,
            lasting="only reads",
            reads_only=True,
        ),
    ),
)
