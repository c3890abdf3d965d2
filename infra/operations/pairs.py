"""Who may write in each pair, and how it replicates, by the word of the regions themselves."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from infra.operations.database import GuardedDatabase
from infra.operations.setting import Setting
from infra.program.state import active_region, set_active_region
from vitalops import conventions as c
from vitalops.errors import RemoteError, UsageError, VitalopsError
from vitalops.fencing.standing import PairStanding
from vitalops.model.platform import FailoverPair
from vitalops.model.selection import pair_of
from vitalops.ports.cluster import ApiError, KubeApi
from vitalops.ports.database import DatabaseState, split_between

_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class StandingStatus:
    """What one region says. `token` is None where it was not reached or knows none."""

    region: str
    active: str
    token: int | None
    role: str
    writable: bool
    fenced: str
    """Why it takes no writes though it was the active region; empty where it is not fenced."""


@dataclass(frozen=True, slots=True)
class PairStatus:
    """`lag_bytes` and `lag_seconds` are of the other region behind the active one; None where that is not known."""

    pair: str
    active: str
    """By the newest standing; empty where no region was reached."""
    replication: str
    """As it is: `synchronous` or `asynchronous`; empty where nobody takes writes."""
    meant: str
    lag_bytes: int | None
    lag_seconds: float | None
    standings: tuple[StandingStatus, ...]
    split: str
    problem: str
    """One line; empty where all is as it should be."""


def pair_status(setting: Setting, pair: FailoverPair) -> PairStatus:
    """Asks both regions' guards. What is not reached is part of the answer."""
    states, problems = _states(setting, pair)
    return judged(pair, states, problems)


def judged(
    pair: FailoverPair, states: Mapping[str, DatabaseState], problems: Mapping[str, str]
) -> PairStatus:
    known = [state.standing for state in states.values() if state.standing]
    newest = max(known, key=lambda standing: standing.token, default=None)
    active = states.get(newest.active) if newest else None
    standby = next((state for name, state in states.items() if newest and name != newest.active), None)
    split = split_between(states)
    takes = active is not None and active.writable
    followers = active.followers if active and takes else ()
    lag = max((follower.lag_bytes for follower in followers), default=None)
    if lag is None and active and takes and standby:
        lag = max(active.position - standby.position, 0)
    return PairStatus(
        pair=pair.name,
        active=newest.active if newest else "",
        replication=active.replication.value if active and takes else "",
        meant=newest.replication.value if newest else pair.replication.value,
        lag_bytes=lag,
        lag_seconds=max((follower.lag_seconds for follower in followers), default=None),
        standings=tuple(_standing_of(name, states.get(name)) for name in (pair.primary, pair.standby)),
        split=split,
        problem=_problem(pair, active, split, problems),
    )


def _problem(
    pair: FailoverPair, active: DatabaseState | None, split: str, problems: Mapping[str, str]
) -> str:
    if split:
        return f"split: {split}"
    if problems:
        region = sorted(problems)[0]
        return f"{region} is not reached: {problems[region]}"
    if active is None or active.standing is None:
        return "no region knows who may write"
    if not active.writable:
        reason = f": {active.fenced}" if active.fenced else ""
        return f"{active.region} is the active region and takes no writes{reason}"
    if not active.followers:
        return f"the other region does not replicate from {active.region}"
    if active.standing.replication is not pair.replication:
        return (
            f"replication is {active.standing.replication} on purpose, and platform.yaml says {pair.replication}: "
            "vitalops runbook run degrade-to-async --restore"
        )
    if active.replication is not active.standing.replication:
        return f"replication is {active.replication}, and {active.standing.replication} is meant"
    return ""


def _standing_of(region: str, state: DatabaseState | None) -> StandingStatus:
    standing = state.standing if state else None
    return StandingStatus(
        region=region,
        active=standing.active if standing else "",
        token=standing.token if standing else None,
        role=state.role.value if state else "",
        writable=state.writable if state else False,
        fenced=state.fenced if state else "",
    )


def _states(setting: Setting, pair: FailoverPair) -> tuple[dict[str, DatabaseState], dict[str, str]]:
    states: dict[str, DatabaseState] = {}
    problems: dict[str, str] = {}

    def one(region: str) -> None:
        try:
            states[region] = GuardedDatabase(region, lambda: setting.connect(region)).state(_SECONDS)
        except RemoteError as error:
            problems[region] = error.message

    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(one, (pair.primary, pair.standby)))
    return states, problems


def agree(setting: Setting) -> None:
    """Make what this machine remembers of each pair agree with what its regions say themselves.

    Raises UsageError for a split state: nothing may be changed then.
    """
    for pair in {
        pair.name: pair for region in setting.regions if (pair := pair_of(setting.platform, region))
    }.values():
        kept = _kept(setting, pair)
        if not kept:
            continue
        _refuse_split(setting, pair, kept)
        newest = max(kept.values(), key=lambda standing: standing.token)
        if newest.active in (pair.primary, pair.standby) and newest.active != active_region(
            setting.paths.state, setting.platform.name, pair
        ):
            set_active_region(setting.paths.state, setting.platform.name, pair, newest.active)


def _refuse_split(setting: Setting, pair: FailoverPair, kept: Mapping[str, PairStanding]) -> None:
    named = {(standing.token, standing.active) for standing in kept.values()}
    tokens = {token for token, _ in named}
    split = ""
    if len(named) > len(tokens):
        split = "the regions name each another one as active at the same token"
    elif len(kept) == 2:
        split = split_between(_states(setting, pair)[0])
    if split:
        raise UsageError(
            f"pair {pair.name} is split: {split}",
            hint="nothing was changed; see `vitalops status`, and decide by hand whose writes count",
        )


def _kept(setting: Setting, pair: FailoverPair) -> dict[str, PairStanding]:
    """Standings of the regions that answer and have one."""
    found: dict[str, PairStanding] = {}
    for region in (pair.primary, pair.standby):
        try:
            kept = read_standing(setting.connect(region))
        except VitalopsError:
            continue
        if kept is not None:
            found[region] = kept
    return found


def read_standing(api: KubeApi) -> PairStanding | None:
    """A region's standing as it is kept; None where there is none. Raises RemoteError."""
    path = f"/api/v1/namespaces/{c.NAMESPACE_DATA}/configmaps/{c.STANDING}"
    try:
        return PairStanding.from_data(api.request("GET", path, timeout=2.0).get("data") or {})
    except ApiError as error:
        if error.status == 404:
            return None
        raise
    except ValueError as error:
        raise RemoteError(f"region {api.name}: its standing cannot be read: {error}") from None


def replication_word(status: PairStatus) -> str:
    """As people read it: `synchronous`, or what it is and what is meant."""
    if not status.replication:
        return f"none ({status.meant} is meant)"
    if status.replication == status.meant:
        return status.replication
    return f"{status.replication} ({status.meant} is meant)"
