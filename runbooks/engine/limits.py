"""Who may act when: locks, the limit on the blast radius, the limit on what alerts start, and who may approve."""

from __future__ import annotations

from typing import Any, Final

from runbooks.engine.book import Page
from runbooks.engine.model import Risk, Runbook
from runbooks.engine.runs import Run, RunState
from vitalops.errors import UsageError
from vitalops.model.platform import Platform
from vitalops.model.selection import pair_of

HOUR_SECONDS: Final = 3600.0
_NEVER_STARTED: Final = (RunState.REFUSED, RunState.REJECTED, RunState.EXPIRED, RunState.WAITING)


class Busy(UsageError):
    """Another run is in the way: once it is over this one may be asked for again."""


def require_free(page: Page, run: Run) -> None:
    """Raises Busy where another run holds one of the run's targets; it is named."""
    for held in page.holders(run.targets, run.id):
        raise Busy(
            f"{held.target} is held by run {held.run.id} ({held.run.state.value}, asked for by {held.run.requester})",
            hint=f"if nobody carries it out: vitalops runbook resume {held.run.id}, or reject {held.run.id}",
        )


def require_narrow(page: Page, run: Run, platform: Platform) -> None:
    """Raises Busy where too many regions of a pair would be acted on at the same time.

    Runs that act on both regions of a pair are left out: the pair's own lock is what keeps those apart.
    """
    limit = platform.operations.regions_at_once
    wanted = regions_by_pair(run.regions, platform)
    for pair, mine in wanted.items():
        if len(mine) > 1:
            continue
        touched = set(mine)
        others: list[str] = []
        for other in page.acting():
            theirs = regions_by_pair(other.regions, platform).get(pair, set())
            if other.id != run.id and len(theirs) == 1:
                touched |= theirs
                others.append(other.id)
        if len(touched) > limit:
            raise Busy(
                f"pair {pair}: {', '.join(sorted(others))} acts on another of its regions,"
                f" and operations.regions_at_once is {limit}",
                hint="wait for it to end",
            )


def regions_by_pair(regions: tuple[str, ...], platform: Platform) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for region in regions:
        pair = pair_of(platform, region)
        if pair is not None:
            found.setdefault(pair.name, set()).add(region)
    return found


def require_rate(page: Page, run: Run, platform: Platform, now: float) -> None:
    """Raises UsageError where alerts have started the runbook on one of its targets too often within the hour."""
    limit = platform.operations.runs_per_hour
    for target in run.targets:
        count = sum(
            1
            for other in page.since(now - HOUR_SECONDS, run.runbook)
            if other.alert and target in other.targets and other.state not in _NEVER_STARTED
        )
        if count >= limit:
            raise UsageError(
                f"alerts have started {run.runbook} on {target} {count} times within the hour,"
                f" and operations.runs_per_hour is {limit}",
                hint=f"look at what it does not mend: vitalops runbook history --runbook {run.runbook}",
            )


def require_may_approve(platform: Platform, actor: str, requester: str) -> None:
    """Raises UsageError where `actor` is who asked, or is not among the owners."""
    if not actor:
        raise UsageError("nobody is named to approve it", hint="--as NAME, or VITALOPS_ACTOR")
    owners = platform.operations.owners
    if owners and actor not in owners:
        raise UsageError(f"{actor} is none of operations.owners", hint=f"one of: {', '.join(owners)}")
    if actor == requester:
        raise UsageError(
            f"{actor} asked for it, and somebody else must approve it",
            hint="another person runs: vitalops runbook approve RUN",
        )


def needs_approval(runbook: Runbook[Any]) -> bool:
    return runbook.risk is Risk.DISRUPTS
