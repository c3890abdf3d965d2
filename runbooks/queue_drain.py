"""What waits between the services is delivered, and what was given up gets another chance."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import Field

from runbooks.common.places import both_regions, in_service, pair_named
from runbooks.common.waiting import wait_until
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
from vitalops.model.selection import services_of

NAME: Final = "queue-drain"
MODULE: Final = "services.common.queues"


class DrainParameters(Parameters):
    pair: str = ""
    """The failover pair; the only one that starts by default where it is not named."""
    service: str = ""
    """The service whose queues are meant; every service's where none is named."""
    per_second: Annotated[int, Field(ge=1, le=500)] = 50
    """Messages that are made due again in a second, at most."""


Context = StepContext[DrainParameters]


def _region(context: Context) -> str:
    return context.running.active_region(pair_named(context.running.platform, context.parameters.pair))


def _services(parameters: DrainParameters, platform: Platform) -> tuple[str, ...]:
    there = tuple(
        each.name
        for each in services_of(platform, pair_named(platform, parameters.pair).name)
        if each.database
    )
    if parameters.service and parameters.service not in there:
        raise UsageError(
            f"no service {parameters.service} with queues runs there", hint=f"there are: {', '.join(there)}"
        )
    return (parameters.service,) if parameters.service else there


def _ask(context: Context, service: str, *arguments: str) -> Any:
    done = in_service(
        context.running, _region(context), service, "python3", "-m", MODULE, service, *arguments
    )
    if done.status:
        raise GateFailed(f"the queues of {service} cannot be asked: {done.errors.strip()[-200:]}")
    return json.loads(done.output.strip().splitlines()[-1])


def _depths(context: Context) -> Iterator[tuple[str, dict[str, Any]]]:
    for service in _services(context.parameters, context.running.platform):
        for depth in _ask(context, service):
            yield service, depth


def _waiting(found: Iterable[tuple[str, Mapping[str, Any]]], now: float) -> dict[str, Any]:
    return {
        f"{service}.{depth['queue']}": {
            "waiting": depth["waiting"],
            "given_up": depth["given_up"],
            "oldest_seconds": round(max(0.0, now - depth["oldest"]), 1) if depth["waiting"] else 0.0,
        }
        for service, depth in found
    }


def _to_replay(
    context: Context, found: Iterable[tuple[str, Mapping[str, Any]]]
) -> list[tuple[str, str, int]]:
    """Queues with something that was given up before the run began: what is given up again is not tried again."""
    return [
        (service, str(depth["queue"]), int(depth["given_up"]))
        for service, depth in found
        if depth["given_up"] and depth["first_given_up"] <= _began(context)
    ]


def _began(context: Context) -> float:
    # A plan has not begun.
    return context.facts.started or context.running.clock.now().timestamp()


def _replay_check(context: Context) -> Verdict:
    depths = tuple(_depths(context))
    facts = {"queues": _waiting(depths, context.running.clock.now().timestamp())}
    found = _to_replay(context, depths)
    if not found:
        return Verdict.done("nothing that was given up before waits for another chance", facts)
    changes = (
        Change(f"{service}, {queue}", f"{count} given up", "due again") for service, queue, count in found
    )
    return Verdict.due(f"{sum(each[2] for each in found)} messages are made due again", *changes, facts=facts)


def _replay(context: Context) -> Output:
    done: dict[str, int] = {}
    for service, queue, _ in _to_replay(context, _depths(context)):
        name = f"{service}.{queue}"
        done[name] = 0
        while True:
            context.progress.step(name, f"{done[name]} messages are due again")
            order = ("--replay", queue, "--before", repr(_began(context)))
            count = int(
                _ask(context, service, *order, "--limit", str(context.parameters.per_second))["replayed"]
            )
            done[name] += count
            if count < context.parameters.per_second:
                break
            context.running.clock.sleep(1.0)
    return {"replayed": done}


def _standing(context: Context) -> tuple[str, list[str]]:
    """What still waits of what waited when the run began, and queues in which something was given up since."""
    depths = tuple(_depths(context))
    waiting = [
        f"{depth['waiting']} in {service}.{depth['queue']}"
        for service, depth in depths
        if depth["waiting"] and depth["oldest"] <= _began(context)
    ]
    again = [
        f"{service}.{depth['queue']}"
        for service, depth in depths
        if depth["given_up"] and depth["last_given_up"] > _began(context)
    ]
    return (f"there wait {', '.join(waiting)}" if waiting else "", again)


def _drain_check(context: Context) -> Verdict:
    reason, again = _standing(context)
    _refuse_again(again)
    return Verdict.due(reason) if reason else Verdict.done("nothing waits that is older than this run")


def _drain(context: Context) -> Output:
    return {"seconds": round(wait_until(context, "queues", lambda: _standing(context)[0], poll=2.0), 1)}


def _drain_verify(context: Context) -> None:
    _refuse_again(_standing(context)[1])


def _refuse_again(queues: Sequence[str]) -> None:
    if queues:
        raise GateFailed(
            f"messages were refused again: {', '.join(queues)}",
            hint="they are wrong, or their receiver is: see `vitalops logs` for `message refused`",
        )


def _from_alert(labels: Mapping[str, str], platform: Platform) -> DrainParameters | None:
    pair = labels.get(c.METRIC_PAIR, "")
    if labels.get(c.METRIC_RUNBOOK) != NAME or pair not in platform.pairs:
        return None
    return DrainParameters(pair=pair)


def _targets(parameters: DrainParameters, platform: Platform) -> tuple[Target, ...]:
    _services(parameters, platform)
    return (Target("queues", pair_named(platform, parameters.pair).name),)


DESCRIPTION: Final = """\
Use it when messages between services do not arrive: audit events, notifications, alerts of remote monitors. Every
service keeps what it has to tell others in an outbox, and the notification service keeps its messages to people. A
message that its receiver refuses for good is given up: it stays, and nobody sends it again until this runbook does.

It shows what waits in each queue, makes what was given up due again (at most `per_second` messages a second), and waits
until everything that waited when it began is delivered. Messages go out in the order in which they were made, and
receivers know each by its id, so none has its effect twice. Each gets one more chance in a run: what is refused again
fails the run, and is named by its queue.

When it stops: messages that wait and do not go out have a receiver that does not answer (`vitalops status`); those that
are refused again are wrong, or their receiver is (`vitalops logs`, event `message refused`). Sending cannot be undone.
"""

RUNBOOK: Final = Runbook(
    name=NAME,
    summary="Deliver what waits in the services' queues, and try again what was given up.",
    description=DESCRIPTION,
    risk=Risk.CHANGES,
    parameters=DrainParameters,
    example="vitalops runbook run queue-drain --pair france",
    targets=_targets,
    regions=both_regions,
    protects=("monitor-alert-delivered",),
    answers=(AlertBinding(c.ALERT_BURN, _from_alert),),
    undoes_on_failure=False,
    rehearsal="tests/cluster/runbooks/test_queue_drain.py",
    steps=(
        Step(
            name="replay",
            summary="Count what waits; make due again what was given up before the run began.",
            limit_seconds=600,
            check=_replay_check,
            apply=_replay,
            lasting="what was sent cannot be taken back; receivers know repeats by their id",
        ),
        Step(
            name="drain",
            summary="Wait until nothing waits that is older than the run, and see that nothing was refused again.",
            limit_seconds=300,
            check=_drain_check,
            apply=_drain,
            verify=_drain_verify,
            lasting="only waits",
        ),
    ),
)
