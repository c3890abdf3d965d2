"""A way in that is broken, mended: the edge's process, its certificate, or a DNS name."""

from __future__ import annotations

from typing import Final

from runbooks.common.waiting import wait_until
from runbooks.common.ways import fault_of, faults, pair_named, seen
from runbooks.engine.model import (
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
from vitalops.errors import GateFailed, RemoteError, UsageError
from vitalops.model.platform import FailoverPair, Platform

NAME: Final = "dns-outage"


class WayInParameters(Parameters):
    pair: str
    """The failover pair whose clients do not get in."""


Context = StepContext[WayInParameters]


def _pair(context: Context) -> FailoverPair:
    return pair_named(context.running.platform, context.parameters.pair)


def _region(context: Context) -> str:
    return context.running.active_region(_pair(context))


def _broken(context: Context) -> dict[str, str]:
    found = faults(context.running, _pair(context), _region(context))
    return {name: fault for name, fault in found.items() if fault}


def _diagnose_check(context: Context) -> Verdict:
    pair, region = _pair(context), _region(context)
    broken = _broken(context)
    if seen(context.running, pair).get(region) is False:
        raise UsageError(
            f"the ways in of {pair.name} do not reach the gateway of {region}: the region is lost, not the way to it",
            hint=f"vitalops runbook run region-failover --pair {pair.name}",
        )
    said = "; ".join(f"{name}: {fault}" for name, fault in broken.items())
    return Verdict.due(said or f"every way in leads to {region}", facts={"region": region, "faults": broken})


def _mend_check(context: Context) -> Verdict:
    broken, region = _broken(context), _region(context)
    if not broken:
        return Verdict.done(f"every way in leads to {region}")
    changes = (Change(name, fault, f"leads to {region}") for name, fault in broken.items())
    return Verdict.due(f"{len(broken)} to mend", *changes)


def _mend(context: Context) -> Output:
    region, done, failed = _region(context), dict[str, str](), dict[str, str]()
    for way in context.running.directors(_pair(context)):
        if not fault_of(way, region):
            continue
        try:
            done[way.name] = way.repair(region)
        except RemoteError as error:
            # The other ways in are mended all the same: one is enough for clients to get in.
            failed[way.name] = error.message
    return {"mended": done, "failed": failed}


def _mend_verify(context: Context) -> None:
    ways = context.running.directors(_pair(context))
    if len(_broken(context)) == len(ways):
        name, fault = next(iter(_broken(context).items()))
        raise GateFailed(f"no way in of {_pair(context).name} works: {name}: {fault}")


def _answers_check(context: Context) -> Verdict:
    return Verdict.due(f"clients of {_pair(context).name} get through")


def _answers(context: Context) -> Output:
    # A name that was led elsewhere reaches clients only when what they remember has run out.
    broken = dict[str, str]()

    def through() -> str:
        broken.clear()
        broken.update(_broken(context))
        ways = context.running.directors(_pair(context))
        return "" if len(broken) < len(ways) else "; ".join(broken.values())

    seconds = wait_until(context, f"ways in of {_pair(context).name}", through)
    delay = max(way.delay_seconds() for way in context.running.directors(_pair(context)))
    return {"seconds": round(seconds, 1), "still_broken": dict(broken), "clients_follow_within": delay}


def _targets(parameters: WayInParameters, platform: Platform) -> tuple[Target, ...]:
    return (Target("traffic", pair_named(platform, parameters.pair).name),)


DESCRIPTION: Final = """\
Use it when clients do not reach a pair although its active region works: the edge's process has ended or hangs, its
certificate has run out, or the DNS server does not answer, or answers with the wrong region.

It looks at every way in (the edge, and the DNS name where the pair has one) and says what is wrong with each. Then it
mends what is broken: the edge is started, or reloaded with a fresh certificate, or ended and started where it hangs; a
DNS name is led to the active region again by a signed update. Each way is mended by itself: where the DNS server stays
silent the edge still carries clients, and the other way round. The run ends well when at least one way works, and says
which do not.

It refuses when the way in works but does not reach the active region's gateway: that is a lost region.

When it stops: `vitalops status` shows the edge, `vitalops dns show PAIR` what the DNS server answers.
"""

RUNBOOK: Final = Runbook(
    name=NAME,
    summary="Mend the ways in to a pair: the edge's process and certificate, the DNS name.",
    description=DESCRIPTION,
    risk=Risk.CHANGES,
    parameters=WayInParameters,
    example="vitalops runbook run dns-outage --pair france",
    targets=_targets,
    # It touches no region, only the ways to them.
    regions=lambda _, __: (),
    protects=("answered", "synthetic-consultation"),
    rehearsal="tests/cluster/runbooks/test_dns_outage.py",
    steps=(
        Step(
            name="diagnose",
            summary="Say what is wrong with each way in.",
            limit_seconds=30,
            check=_diagnose_check,
            apply=lambda _: {},
            lasting="only reads",
            reads_only=True,
        ),
        Step(
            name="mend",
            summary="Start, renew and lead to the active region what is broken.",
            limit_seconds=60,
            check=_mend_check,
            apply=_mend,
            verify=_mend_verify,
            lasting="a way in that works is no worse than one that does not",
        ),
        Step(
            name="answers",
            summary="See that clients get through again.",
            limit_seconds=60,
            check=_answers_check,
            apply=_answers,
            lasting="only reads",
        ),
    ),
)
