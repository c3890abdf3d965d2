"""Back to the revision of a service that was last seen ready."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from runbooks.common.indicators import reading
from runbooks.common.schema import known_to, lacking
from runbooks.common.waiting import wait_until
from runbooks.common.workloads import (
    HASH,
    Revision,
    Workload,
    current_revision,
    deployment,
    require_region,
    revisions,
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
from vitalops.errors import GateFailed, RemoteError, UsageError
from vitalops.model.platform import Platform
from vitalops.ports.cluster import ApiError, Cluster, Json

NAME: Final = "service-rollback"
SLIS: Final = ("answered", "prescription-signed")
REMEMBERED: Final = "7d"
"""How far back Prometheus is asked whether a revision was ready."""


class RollbackParameters(Parameters):
    service: str
    """The service to roll back."""
    region: str
    """The region in which it is rolled back."""
    revision: int = 0
    """Revision to go back to, as `kubectl rollout history` numbers them; 0: the last other one that was ready."""


Context = StepContext[RollbackParameters]


def _place(context: Context) -> tuple[Cluster, Workload]:
    parameters, running = context.parameters, context.running
    return running.cluster(parameters.region), workload(
        running.platform, parameters.region, parameters.service
    )


def was_ready(context: Context, revision: Revision) -> bool:
    """Whether pods of the revision are ready, or a probe found one ready in the days that Prometheus remembers."""
    if revision.ready:
        return True
    pods = f"{context.parameters.service}-{revision.hash}-.*"
    labels = f'{{http_route="/readyz",http_response_status_code="200",pod=~"{pods}"}}'
    query = f"max(max_over_time(http_server_request_duration_seconds_count{labels}[{REMEMBERED}]))"
    try:
        found = context.running.metrics(context.parameters.region).instant(query)
    except RemoteError:
        return False
    return bool(found) and found[0].value > 0


def chosen(context: Context, cluster: Cluster, target: Workload, owner: Json) -> tuple[Revision, Revision]:
    """The revision that is wanted now, and the one to go back to. Raises UsageError where there is none."""
    wanted = context.parameters.revision
    history = revisions(cluster, target, owner)
    number = current_revision(owner)
    current = next((each for each in history if each.number == number), None)
    if current is None:
        raise UsageError(f"{target.name} in {cluster.name} has no history yet", hint="see: vitalops status")
    others = [each for each in history if each.hash != current.hash]
    if wanted:
        for each in others:
            if each.number == wanted:
                return current, each
        raise UsageError(
            f"{target.name} in {cluster.name} has no other revision {wanted}",
            hint=f"there are: {', '.join(str(each.number) for each in others) or 'none'}",
        )
    if not others:
        raise UsageError(
            f"{target.name} in {cluster.name} has only ever run as {current.text}",
            hint="a rollback cannot help; see: vitalops logs",
        )
    for each in others:
        if was_ready(context, each):
            return current, each
    raise UsageError(
        f"no other revision of {target.name} is known to have been ready",
        hint=f"name one: --revision {others[0].number}",
    )


def _choose_check(context: Context) -> Verdict:
    cluster, target = _place(context)
    current, previous = chosen(context, cluster, target, deployment(cluster, target))
    return Verdict.due(
        f"from {current.text} to {previous.text}", Change(target.name, current.text, previous.text)
    )


def _choose(context: Context) -> Output:
    cluster, target = _place(context)
    current, previous = chosen(context, cluster, target, deployment(cluster, target))
    return {
        "from": current.hash,
        "from_text": current.text,
        "to": previous.hash,
        "to_text": previous.text,
        "indicators": _indicators(context),
    }


def _indicators(context: Context) -> dict[str, Any]:
    p = context.parameters
    return {sli: reading(context.running, p.region, sli, p.service).document() for sli in SLIS}


def _by_hash(context: Context, key: str) -> Revision:
    cluster, target = _place(context)
    wanted = str(context.outputs["choose"][key])
    for each in revisions(cluster, target, deployment(cluster, target)):
        if each.hash == wanted:
            return each
    raise UsageError(f"revision {wanted} of {target.name} is no longer kept in {cluster.name}")


def _schema_check(context: Context) -> Verdict:
    if "choose" not in context.outputs:
        return Verdict.due("its image is asked which schemas it knows")
    before, after = _by_hash(context, "from"), _by_hash(context, "to")
    if before.image == after.image:
        return Verdict.done("both revisions run the same image: the schema is the same to them")
    return Verdict.due(f"image {after.image.rpartition('/')[2]} is asked which schemas it knows")


def _schema(context: Context) -> Output:
    cluster, target = _place(context)
    service = context.running.platform.services[target.name]
    if not service.database:
        return {"lacks": []}
    known = known_to(context, cluster, target, _by_hash(context, "to"))
    lacks, breaking = lacking(cluster, target, known)
    if breaking:
        revision, found = next(iter(breaking.items()))
        raise GateFailed(
            f"{target.name}: the older release cannot live with migration {revision} ({found[0][:120]})",
            hint="repair it by a newer release; a rollback would break it further",
        )
    return {"lacks": lacks}


def _roll_back_check(context: Context) -> Verdict:
    if "choose" not in context.outputs:
        return Verdict.due("the Deployment gets the older template")
    cluster, target = _place(context)
    owner, wanted = deployment(cluster, target), str(context.outputs["choose"]["to"])
    history = {each.number: each for each in revisions(cluster, target, owner)}
    current = history.get(current_revision(owner))
    if current is not None and current.hash == wanted and not rollout_waits_for(owner):
        return Verdict.done(f"{current.text} runs")
    texts = context.outputs["choose"]
    return Verdict.due(
        f"back to {texts['to_text']}", Change(target.name, str(texts["from_text"]), str(texts["to_text"]))
    )


def put_template(context: Context, revision: Revision) -> float:
    """Make the Deployment run a revision's template again, and wait until it does. Returns the seconds."""
    cluster, target = _place(context)

    def put() -> str:
        owner = copy.deepcopy(deployment(cluster, target))
        template = copy.deepcopy(revision.template)
        template["metadata"].get("labels", {}).pop(HASH, None)
        if owner["spec"]["template"] == template:
            return ""
        owner["spec"]["template"] = template
        try:
            cluster.request("PUT", target.path, body=owner)
        except ApiError as error:
            if error.status != 409:
                raise
            return "somebody else changes it"
        return ""

    def over() -> str:
        owner = deployment(cluster, target)
        labels = revision.template["spec"]
        if owner["spec"]["template"]["spec"] != labels:
            return "the template has not been taken"
        return rollout_waits_for(owner)

    return wait_until(context, target.name, put) + wait_until(context, target.name, over)


def _roll_back(context: Context) -> Output:
    return {"seconds": round(put_template(context, _by_hash(context, "to")), 1)}


def _roll_back_verify(context: Context) -> None:
    cluster, target = _place(context)
    owner = deployment(cluster, target)
    wanted = _by_hash(context, "to")
    if owner["spec"]["template"]["spec"] != wanted.template["spec"]:
        raise GateFailed(f"{target.name} in {cluster.name} does not run {wanted.text}")
    if reason := rollout_waits_for(owner):
        raise GateFailed(f"{target.name} in {cluster.name}: {reason}")


def _roll_back_undo(context: Context) -> None:
    if "choose" in context.outputs:
        cluster, target = _place(context)
        before = _by_hash(context, "from")
        owner = copy.deepcopy(deployment(cluster, target))
        template = copy.deepcopy(before.template)
        template["metadata"].get("labels", {}).pop(HASH, None)
        owner["spec"]["template"] = template
        cluster.request("PUT", target.path, body=owner)


def _measure(context: Context) -> Output:
    return {"indicators": _indicators(context)}


def _from_alert(labels: Mapping[str, str], platform: Platform) -> RollbackParameters | None:
    service, region = labels.get(c.METRIC_SERVICE, ""), labels.get(c.METRIC_REGION, "")
    if (
        labels.get(c.METRIC_RUNBOOK) != NAME
        or service not in platform.services
        or region not in platform.regions
    ):
        return None
    return RollbackParameters(service=service, region=region)


def _targets(parameters: RollbackParameters, platform: Platform) -> tuple[Target, ...]:
    if parameters.service == c.GATEWAY_SERVICE:
        raise UsageError(
            "the gateway is its configuration, which is not part of a revision",
            hint="bring up the platform file that worked: vitalops up",
        )
    workload(platform, parameters.region, parameters.service)
    return (Target("service", f"{parameters.region}.{parameters.service}"),)


def _regions(parameters: RollbackParameters, platform: Platform) -> tuple[str, ...]:
    require_region(platform, parameters.region)
    return (parameters.region,)


DESCRIPTION: Final = """\
Use it when a release of a service has made it worse: requests fail, or its new pods do not become ready. The Deployment
goes back to the newest other revision that was seen ready: one whose pods are ready now, or whose pods a readiness
probe found ready in the last seven days as Prometheus remembers them. Pods are replaced one at a time and an old one
goes only when its successor is ready, so nothing is refused meanwhile.

It refuses when there is no other revision, and when the older release does not know a migration that takes away,
renames or tightens something. The older image is asked for the schemas that it knows in a pod that serves nothing;
the running release says which of its migrations the older one lacks, and reads their SQL.

What is rolled back is the pod's template: image, command, environment. Secrets and shared configuration stay as they
are. `vitalops up` brings back what platform.yaml and this checkout say: before the next `up`, check out the release
that is to run, or set `images` to it.

When it stops: `vitalops status` shows which pod is not ready, `vitalops logs --service NAME` why. A rollback that does
not become ready is undone: the newer revision is put back.
"""

RUNBOOK: Final = Runbook(
    name=NAME,
    summary="Bring a service back to the revision that was last seen ready.",
    description=DESCRIPTION,
    risk=Risk.CHANGES,
    parameters=RollbackParameters,
    example="vitalops runbook run service-rollback --service records --region fr-par",
    targets=_targets,
    regions=_regions,
    protects=SLIS,
    answers=(AlertBinding(c.ALERT_BURN, _from_alert),),
    rehearsal="tests/cluster/runbooks/test_service_rollback.py",
    steps=(
        Step(
            name="choose",
            summary="Find the revision to go back to, and read the indicators.",
            limit_seconds=30,
            check=_choose_check,
            apply=_choose,
            lasting="only reads",
            reads_only=True,
        ),
        Step(
            name="schema",
            summary="Make sure that the older release can live with the schema.",
            limit_seconds=120,
            check=_schema_check,
            apply=_schema,
            lasting="only reads: the pod that is asked is gone afterwards",
        ),
        Step(
            name="roll-back",
            summary="Give the Deployment the older template and wait until its pods are ready.",
            limit_seconds=300,
            check=_roll_back_check,
            apply=_roll_back,
            verify=_roll_back_verify,
            undo=_roll_back_undo,
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
