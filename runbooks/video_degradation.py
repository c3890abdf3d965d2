"""Calls stepped down where the network or the servers cannot bear more, and up again when they can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field

from runbooks.common.indicators import Reading, reading
from runbooks.common.ladder import Standing, entry, good, next_standing
from runbooks.common.ways import pair_named
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
from vitalops.errors import GateFailed, RemoteError
from vitalops.model.platform import FailoverPair, Platform
from vitalops.model.selection import pair_of
from vitalops.ports.media import CallMode

NAME: Final = "video-degradation"
SLI: Final = "media-quality"
SERVICE: Final = "consultation"
LOOK_SECONDS: Final = 30.0


class DegradationParameters(Parameters):
    pair: str
    """The failover pair whose calls are stepped."""
    mode: CallMode | None = None
    """The rung to go to and stay on; absent: the next one down where calls are bad, and followed from there."""
    follow_minutes: Annotated[int, Field(ge=0, le=240)] = 0
    """Step on, down and up, as calls go, for so long or until they are video again; 0: step once."""


Context = StepContext[DegradationParameters]


def _pair(context: Context) -> FailoverPair:
    return pair_named(context.running.platform, context.parameters.pair)


def _reading(context: Context) -> Reading:
    return reading(context.running, context.running.active_region(_pair(context)), SLI, SERVICE)


def _mode(context: Context) -> CallMode:
    return context.running.call_modes(_pair(context)).mode()


def _look_check(context: Context) -> Verdict:
    now, found = _mode(context), _reading(context)
    wanted = context.parameters.mode or (now.down() if entry(found) else now)
    facts = {"mode": now.value, "wanted": wanted.value, "quality": found.document()}
    return Verdict.due(f"calls are {now.value}; streams of the last five minutes: {found.text}", facts=facts)


def _wanted(context: Context) -> CallMode:
    return CallMode(context.outputs["look"]["wanted"])


def _step_check(context: Context) -> Verdict:
    now, wanted = _mode(context), _wanted(context)
    if now is wanted:
        return Verdict.done(f"calls are {now.value}")
    return Verdict.due(f"calls that begin are {wanted.value}", Change("calls", now.value, wanted.value))


def _step(context: Context) -> Output:
    context.running.call_modes(_pair(context)).set_mode(_wanted(context))
    return {}


def _step_verify(context: Context) -> None:
    if (now := _mode(context)) is not _wanted(context):
        raise GateFailed(f"calls are {now.value}, not {_wanted(context).value}")


def _step_undo(context: Context) -> None:
    before = CallMode(context.outputs["look"]["mode"])
    context.running.call_modes(_pair(context)).set_mode(before)
    _limit_everywhere(context, before)


def _limit_everywhere(context: Context, mode: CallMode) -> tuple[int, list[str]]:
    """Participants told, in both regions: calls run where they began. A region that is lost has none."""
    told, unreached = 0, list[str]()
    for region in (_pair(context).primary, _pair(context).standby):
        try:
            told += context.running.media(region).limit(mode)
        except RemoteError:
            unreached.append(region)
    return told, unreached


def _limit_check(context: Context) -> Verdict:
    if context.outputs["look"]["mode"] == context.outputs["look"]["wanted"]:
        return Verdict.done("calls that run keep to it already")
    return Verdict.due("calls that run keep to it too")


def _limit(context: Context) -> Output:
    told, unreached = _limit_everywhere(context, _wanted(context))
    return {"participants": told, "unreached": unreached}


def _follow_check(context: Context) -> Verdict:
    if not context.parameters.follow_minutes:
        return Verdict.done("stepped once, as asked")
    if (now := _mode(context)) is CallMode.VIDEO:
        return Verdict.done("calls are video")
    return Verdict.due(f"from {now.value} on, for {context.parameters.follow_minutes} minutes at most")


def _follow(context: Context) -> Output:
    clock, steps = context.running.clock, list[dict[str, object]]()
    until = context.facts.started + context.parameters.follow_minutes * 60
    standing = Standing(_mode(context), clock.monotonic())
    good_since: float | None = None
    while clock.now().timestamp() < until and standing.mode is not CallMode.VIDEO:
        at, found = clock.monotonic(), _reading(context)
        good_since = (at if good_since is None else good_since) if good(found) else None
        following = next_standing(standing, found, at, good_since)
        if following.mode is not standing.mode:
            context.running.call_modes(_pair(context)).set_mode(following.mode)
            _limit_everywhere(context, following.mode)
            steps.append({"after": round(at, 1), "to": following.mode.value, "quality": found.document()})
        standing = following
        context.progress.step("calls", f"{standing.mode.value}: {found.text}")
        clock.sleep(LOOK_SECONDS)
    return {"mode": standing.mode.value, "steps": steps}


def _from_alert(labels: Mapping[str, str], platform: Platform) -> DegradationParameters | None:
    region = labels.get(c.METRIC_REGION, "")
    if labels.get(c.METRIC_RUNBOOK) != NAME or region not in platform.regions:
        return None
    pair = pair_of(platform, region)
    return None if pair is None else DegradationParameters(pair=pair.name, follow_minutes=60)


def _targets(parameters: DegradationParameters, platform: Platform) -> tuple[Target, ...]:
    return (Target("calls", pair_named(platform, parameters.pair).name),)


DESCRIPTION: Final = """\
Use it when calls look and sound bad because the network, or a media server, cannot bear what they ask. It goes down
one rung of a ladder, and up again when things are better:

| rung | what calls are | who sees to it |
|---|---|---|
| `video` | as ever | |
| `low` | small pictures, few a second | clients, told by the join answer and by the room's metadata |
| `audio` | voice alone | the media server: join tokens and running calls allow the microphone alone |
| `callback` | no call begins; the practitioner telephones | the consultation service, which tells the patient |

Entry to the next rung: of at least 8 streams judged in the last five minutes, a quarter or more were bad. Exit to the
rung above: at most one in twenty was, or nobody was in a call, for ten minutes; after a rung had to be left again, for
twice as long. Between the two nothing changes. With `--mode` a rung is gone to whatever the figures say, and stayed on;
with `--follow-minutes` the run goes on looking and stepping. An alert of `media-quality` starts it and has it follow
for an hour.

Running calls go on in every mode: those who send pictures are stopped sending them at the server, nobody is put out of
a call. A consultation whose patient was told to wait for a call can be completed without anybody having been in a room.

When it stops: calls stay as they are then. `vitalops runbook run video-degradation --pair PAIR --mode video` brings
video back.
"""

RUNBOOK: Final = Runbook(
    name=NAME,
    summary="Step calls down to what the network bears: small pictures, voice, telephone; and up again.",
    description=DESCRIPTION,
    risk=Risk.CHANGES,
    parameters=DegradationParameters,
    example="vitalops runbook run video-degradation --pair france --mode audio",
    targets=_targets,
    # It changes what calls are, not what runs in a region.
    regions=lambda _, __: (),
    protects=(SLI, "consultation-completed"),
    answers=(AlertBinding(c.ALERT_BURN, _from_alert, starts=True),),
    rehearsal="tests/cluster/runbooks/test_video_degradation.py",
    steps=(
        Step(
            name="look",
            summary="Read how calls are, and decide on the rung.",
            limit_seconds=30,
            check=_look_check,
            apply=lambda _: {},
            lasting="only reads",
            reads_only=True,
        ),
        Step(
            name="step",
            summary="Have calls that begin keep to the rung.",
            limit_seconds=30,
            check=_step_check,
            apply=_step,
            verify=_step_verify,
            undo=_step_undo,
        ),
        Step(
            name="limit",
            summary="Have calls that run keep to it.",
            limit_seconds=60,
            check=_limit_check,
            apply=_limit,
            lasting="undone with the step before",
        ),
        Step(
            name="follow",
            summary="Go on looking, and step down and up as calls go.",
            limit_seconds=14460,
            check=_follow_check,
            apply=_follow,
            lasting="each of its steps was right when it was made; --mode video takes them back",
        ),
    ),
)
