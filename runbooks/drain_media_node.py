"""A region's media server emptied of calls, restarted, and given calls again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field

from runbooks.common.waiting import POLL_SECONDS, wait_until
from runbooks.common.ways import seen
from runbooks.common.workloads import require_region, rollout_waits_for
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
from vitalops.model.platform import FailoverPair, Platform
from vitalops.model.selection import other_region
from vitalops.ports.cluster import STRATEGIC, Json
from vitalops.ports.traffic import TrafficDirector

NAME: Final = "drain-media-node"
PATH: Final = f"/apis/apps/v1/namespaces/{c.NAMESPACE_MEDIA}/deployments/{c.LIVEKIT_SERVICE}"
RESTARTED: Final = "vitalops.dev/restarted-by"
"""Annotation of the pods: the run that asked for them."""


class DrainParameters(Parameters):
    region: str
    """The region whose media server is emptied and restarted."""
    wait_seconds: Annotated[int, Field(ge=0, le=14400)] = 0
    """How long calls may go on; 0: the pair's `failover.drain_seconds`."""
    end_calls: bool = False
    """End the calls that go on after that time, rather than leave the server as it was."""


Context = StepContext[DrainParameters]


def _pair(platform: Platform, region: str) -> FailoverPair:
    return platform.pairs[require_region(platform, region)]


def _ways(context: Context) -> tuple[TrafficDirector, ...]:
    return context.running.directors(_pair(context.running.platform, context.parameters.region))


def _peer(context: Context) -> str:
    return other_region(_pair(context.running.platform, context.parameters.region), context.parameters.region)


def _leads(context: Context) -> str:
    return next((region for way in _ways(context) if (region := way.calls_lead_to())), "")


def _look_check(context: Context) -> Verdict:
    region, peer = context.parameters.region, _peer(context)
    pair = _pair(context.running.platform, region)
    if seen(context.running, pair).get(peer) is False:
        raise UsageError(
            f"{peer} is not reached: calls that begin while {region} is emptied would have nowhere to run",
            hint=f"bring it back first: vitalops up {peer}",
        )
    try:
        context.running.media(peer).calls()
    except RemoteError as error:
        raise UsageError(
            f"the media server of {peer} does not answer, and new calls have to run there: {error.message}",
            hint="see: vitalops status",
        ) from error
    calls = context.running.media(region).calls()
    facts = {"calls": len(calls), "led": _leads(context)}
    return Verdict.due(f"{len(calls)} calls run in {region}; new ones can run in {peer}", facts=facts)


def _divert_check(context: Context) -> Verdict:
    peer, now = _peer(context), _leads(context)
    if now == peer:
        return Verdict.done(f"new calls run in {peer}")
    before = now or "the active region"
    return Verdict.due(f"new calls run in {peer}", Change("calls that begin", before, peer))


def _divert(context: Context) -> Output:
    peer = _peer(context)
    able = [way.name for way in _ways(context) if way.lead_calls(peer)]
    if not able:
        raise GateFailed(
            "no way in can lead calls apart from other requests",
            hint=f"switch the pair to {peer} instead: vitalops runbook run region-failover --planned",
        )
    return {"by": able}


def _divert_verify(context: Context) -> None:
    if (now := _leads(context)) != _peer(context):
        raise GateFailed(f"new calls run in {now or 'the active region'}, not in {_peer(context)}")


def _divert_undo(context: Context) -> None:
    led = str(context.outputs.get("look", {}).get("led", ""))
    for way in _ways(context):
        way.lead_calls(led)


def _restarted(context: Context) -> bool:
    """Whether this run's restart has been asked for already: then the calls there are new ones."""
    found = context.running.cluster(context.parameters.region).request("GET", PATH)
    noted = found["spec"]["template"]["metadata"].get("annotations", {}).get(RESTARTED, "")
    return bool(context.facts.run) and noted == context.facts.run


def _drain_check(context: Context) -> Verdict:
    region = context.parameters.region
    if _restarted(context):
        return Verdict.done("it was empty when it was restarted")
    calls = context.running.media(region).calls()
    if not calls:
        return Verdict.done(f"no call runs in {region}")
    return Verdict.due(
        f"{len(calls)} calls may go on for {_patience(context)} s",
        Change(f"calls in {region}", str(len(calls)), "0"),
    )


def _patience(context: Context) -> int:
    pair = _pair(context.running.platform, context.parameters.region)
    return context.parameters.wait_seconds or pair.failover.drain_seconds


def _drain(context: Context) -> Output:
    running, region = context.running, context.parameters.region
    clock = running.clock
    began = clock.monotonic()
    # From the run's start, so that a run that was resumed waits no longer than one that was not.
    waited_before = max(clock.now().timestamp() - context.facts.started, 0.0)
    ended = 0
    while calls := running.media(region).calls():
        waited = clock.monotonic() - began
        if waited + waited_before >= _patience(context):
            if not context.parameters.end_calls:
                raise GateFailed(
                    f"{len(calls)} calls still run in {region} after {_patience(context)} s",
                    hint="run it again later, or with --end-calls",
                )
            ended += running.media(region).end([call.room for call in calls])
        context.progress.step(f"calls in {region}", f"{len(calls)} go on")
        clock.sleep(POLL_SECONDS)
    return {"seconds": round(clock.monotonic() - began, 1), "ended": ended}


def _restart_check(context: Context) -> Verdict:
    region = context.parameters.region
    if _restarted(context) and not _restart_waits_for(context):
        return Verdict.done(f"the media server of {region} was restarted by this run")
    return Verdict.due(
        "restarted while it is empty", Change(f"media server of {region}", "runs", "a new one runs")
    )


def _restart(context: Context) -> Output:
    if not _restarted(context):
        annotations = {RESTARTED: context.facts.run}
        body: Json = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
        cluster = context.running.cluster(context.parameters.region)
        cluster.request("PATCH", PATH, body=body, content_type=STRATEGIC)
    seconds = wait_until(context, "media server", lambda: _restart_waits_for(context))
    seconds += wait_until(context, "media server", lambda: _silent(context))
    return {"seconds": round(seconds, 1)}


def _restart_waits_for(context: Context) -> str:
    return rollout_waits_for(context.running.cluster(context.parameters.region).request("GET", PATH))


def _silent(context: Context) -> str:
    context.running.media(context.parameters.region).calls()
    return ""


def _restart_verify(context: Context) -> None:
    if not _restarted(context):
        raise GateFailed(f"the media server of {context.parameters.region} was not restarted")
    if reason := _restart_waits_for(context):
        raise GateFailed(f"the media server of {context.parameters.region}: {reason}")


def _return_check(context: Context) -> Verdict:
    led, now = str(context.outputs.get("look", {}).get("led", "")), _leads(context)
    # Where they were led to this region's peer before, they stay there: somebody wanted that.
    if now == led:
        return Verdict.done(f"new calls run in {led or 'the active region'}")
    return Verdict.due(
        "new calls as before",
        Change("calls that begin", now or "the active region", led or "the active region"),
    )


def _return(context: Context) -> Output:
    _divert_undo(context)
    return {}


def _return_verify(context: Context) -> None:
    led = str(context.outputs.get("look", {}).get("led", ""))
    if (now := _leads(context)) != led:
        raise GateFailed(
            f"new calls run in {now or 'the active region'}, not in {led or 'the active region'}"
        )


def _from_alert(labels: Mapping[str, str], platform: Platform) -> DrainParameters | None:
    region = labels.get(c.METRIC_REGION, "")
    if labels.get(c.METRIC_RUNBOOK) != NAME or region not in platform.regions:
        return None
    return DrainParameters(region=region)


def _targets(parameters: DrainParameters, platform: Platform) -> tuple[Target, ...]:
    _pair(platform, parameters.region)
    return (Target("media", parameters.region),)


def _regions(parameters: DrainParameters, platform: Platform) -> tuple[str, ...]:
    require_region(platform, parameters.region)
    return (parameters.region,)


DESCRIPTION: Final = """\
Use it when a media server must be restarted or its node emptied, and calls run on it: before maintenance, or when it
answers slowly (calls are joined late, media flows late).

A region has one media server. While it is emptied, calls that begin run on the media server of the pair's other
region; the edge leads them there, and everybody who joins the same call after them. Requests that are not calls stay
where they are, and so does every running call: whoever loses the connection and comes back finds it. What happens in
rooms of the other region is told to the active one, so that consultations are recorded as ever.

It waits until the last call has ended, for as long as `failover.drain_seconds` of the pair says. Calls that go on
longer stop the run, and new calls go where they went before; with `--end-calls` they are ended, and their clients can
join again at once. Then the empty server is restarted, and new calls run there again.

It refuses when the other region or its media server is not reached: new calls would have nowhere to run.

When it stops: `vitalops status` shows the media server; calls are led back by the undo.
"""

RUNBOOK: Final = Runbook(
    name=NAME,
    summary="Empty a region's media server of calls and restart it, without cutting any.",
    description=DESCRIPTION,
    risk=Risk.CHANGES,
    parameters=DrainParameters,
    example="vitalops runbook run drain-media-node --region fr-par",
    targets=_targets,
    regions=_regions,
    protects=("joined-in-time", "media-in-time", "media-quality"),
    answers=(AlertBinding(c.ALERT_BURN, _from_alert),),
    rehearsal="tests/cluster/runbooks/test_drain_media_node.py",
    steps=(
        Step(
            name="look",
            summary="Count the calls, and see that new ones can run in the other region.",
            limit_seconds=30,
            check=_look_check,
            apply=lambda _: {},
            lasting="only reads",
            reads_only=True,
        ),
        Step(
            name="divert",
            summary="Lead calls that begin to the other region's media server.",
            limit_seconds=30,
            check=_divert_check,
            apply=_divert,
            verify=_divert_verify,
            undo=_divert_undo,
        ),
        Step(
            name="drain",
            summary="Wait until the last call has ended.",
            limit_seconds=14460,
            check=_drain_check,
            apply=_drain,
            lasting="only waits; calls that were ended on request stay ended",
        ),
        Step(
            name="restart",
            summary="Restart the empty media server and wait until it answers.",
            limit_seconds=180,
            check=_restart_check,
            apply=_restart,
            verify=_restart_verify,
            lasting="a restarted media server is as good as the one before",
        ),
        Step(
            name="return",
            summary="Let new calls run there again.",
            limit_seconds=30,
            check=_return_check,
            apply=_return,
            verify=_return_verify,
            lasting="new calls run where they ran before",
        ),
    ),
)
