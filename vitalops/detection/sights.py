"""What one place sees of one part of a region, kept over time. Times are seconds of a monotonic clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Place(StrEnum):
    """Where somebody looks from. Two places fail independently of one another; two parts seen from one do not."""

    WITNESS = "witness"
    STANDBY = "standby"
    """The guard of the pair's other region."""
    EDGE = "edge"


class Part(StrEnum):
    """What is looked at in a region."""

    GUARD = "guard"
    GATEWAY = "gateway"
    API_SERVER = "api-server"


@dataclass(frozen=True, slots=True, order=True)
class Vantage:
    """One line of sight."""

    place: Place
    part: Part
    region: str

    def __str__(self) -> str:
        return f"{self.place} -> {self.region} {self.part}"


@dataclass(frozen=True, slots=True)
class Sight:
    """A vantage's memory.

    Silence is counted from the last answer, or from the first attempt after a pause in which nobody looked: what was
    not looked at has not been silent.
    """

    looked: float
    """The last attempt that was made, or word that was had from the place that looks."""
    silent_since: float
    reached: bool
    """Whether there was an answer to an attempt made since then; False until the first."""
    judged: bool = False
    """The place's word is a judgement over several attempts of its own: it counts as it is, without a duration."""

    def stale(self, now: float, gap: float) -> bool:
        return now - self.looked > gap

    def silence(self, now: float) -> float:
        return now - self.silent_since


def tried(sight: Sight | None, at: float, gap: float) -> Sight:
    """An attempt was begun. After a pause longer than `gap` the count starts anew."""
    if sight is None or at - sight.looked > gap:
        return Sight(looked=at, silent_since=at, reached=False)
    return replace(sight, looked=max(sight.looked, at))


def answered(sight: Sight | None, at: float) -> Sight:
    """An answer came, to whichever attempt. An answer that was overtaken by a later one changes nothing."""
    if sight is None:
        return Sight(looked=at, silent_since=at, reached=True)
    return replace(
        sight, looked=max(sight.looked, at), silent_since=max(sight.silent_since, at), reached=True
    )


def reported(sight: Sight | None, at: float, reached: bool, seconds: float) -> Sight:
    """Another place says what it sees, and for how many seconds it has been so.

    That place looked all the time, also while its word did not come through: so its count is taken, but never from
    before what is known of here already (a restarted guard counts anew, and never more than it did).
    """
    if reached:
        return answered(sight, at)
    since = at - max(seconds, 0.0)
    if sight is not None:
        since = max(since, sight.silent_since)
    return Sight(looked=at, silent_since=since, reached=False)


def judged(at: float, reached: bool) -> Sight:
    """A place with a threshold of its own (the edge's health checks) says what it has made up its mind about."""
    return Sight(looked=at, silent_since=at, reached=reached, judged=True)
