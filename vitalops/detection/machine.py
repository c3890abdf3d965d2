"""The decision itself: a pure state machine over sights. Nothing here waits, asks or acts.

Invariant. `Lost` is said only at a moment when all of this holds:

1. the witness itself reaches the pair's other region, so it is not the one that is cut off (else `Blind`);
2. the guard of the other region has just said that it does not reach the active region's guard, and has not for
   `detection_seconds`, one look at both ends included;
3. the witness itself has looked at every part of the active region that it knows of, without a pause, and has heard
   nothing from any of them for as long;
4. no other place that has a word (the edge) says that it reaches the active region;
5. the region that is active, and the token by which it is, have not changed since all of this began.

So two places that fail independently agree, and one answer to one of them is enough to begin again.

What follows from it, both held by property tests:
- an outage on each line of sight that is shorter than `detection_seconds` is never a loss, however many there are and
  however they overlap, if each line has an answer in between;
- a region that has gone silent altogether is lost `detection_seconds` and two looks later.

The two looks are the price of the first: the last answer may be one look older than the outage, and the first after it
one look younger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from vitalops.detection.sights import Part, Place, Sight, Vantage, answered, judged, reported, tried


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. `interval` is the time between two looks of the witness."""

    detection: float
    interval: float = 0.5
    gap: float = 1.5
    """A word older than this counts no more; a pause longer than this begins the count anew."""

    @property
    def silence(self) -> float:
        """Of every line of sight, before a region is lost."""
        return self.detection + 2 * self.interval


@dataclass(frozen=True, slots=True)
class Word:
    """One line of sight as it is told to people and kept in the journal."""

    vantage: str
    reached: bool
    seconds: float
    """Since the last answer. 0 where the place judges by itself, and says no duration."""


@dataclass(frozen=True, slots=True)
class Healthy:
    """Everything that looks at the active region reaches it."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """Some line of sight has no answer. `seconds` is for how long the first of them has not had any."""

    seconds: float
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """Nobody outside has reached anything in the region. `seconds` is for how long nobody has, at the least."""

    region: str
    seconds: float
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Blind:
    """The witness reaches neither region: it is the one that is cut off, and does nothing."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Split:
    """Both regions say that they take writes. Nobody acts on that but a person."""

    regions: tuple[str, ...]


Assessment = Healthy | Suspect | Lost | Blind | Split


@dataclass(frozen=True, slots=True)
class Watch:
    """Everything that is remembered of a pair. `since` is when the active region became known as such."""

    pair: str
    active: str
    standby: str
    token: int
    since: float
    limits: Limits
    sights: Mapping[Vantage, Sight] = field(default_factory=dict[Vantage, Sight])
    writable: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    """Since when, and when last, a region's guard said that it takes writes; absent when it last said otherwise."""

    def _with(self, vantage: Vantage, sight: Sight) -> Watch:
        return replace(self, sights={**self.sights, vantage: sight})

    def trying(self, vantage: Vantage, at: float) -> Watch:
        """The witness has begun to look."""
        return self._with(vantage, tried(self.sights.get(vantage), at, self.limits.gap))

    def hearing(self, vantage: Vantage, at: float) -> Watch:
        """The witness has an answer."""
        return self._with(vantage, answered(self.sights.get(vantage), at))

    def told(self, vantage: Vantage, at: float, reached: bool, seconds: float) -> Watch:
        """The other region's guard says what it sees."""
        return self._with(vantage, reported(self.sights.get(vantage), at, reached, seconds))

    def ruled(self, vantage: Vantage, at: float, reached: bool) -> Watch:
        """A place with a threshold of its own says what it thinks."""
        return self._with(vantage, judged(at, reached))

    def taking_writes(self, region: str, at: float, writable: bool) -> Watch:
        """A region's guard says whether its database takes writes."""
        kept = {name: span for name, span in self.writable.items() if name != region}
        if not writable:
            return replace(self, writable=kept)
        first, last = self.writable.get(region, (at, at))
        return replace(self, writable={**kept, region: (at if at - last > self.limits.gap else first, at)})

    def turned(self, active: str, token: int, at: float) -> Watch:
        """Somebody's newer word on which region is active. An older or equal one changes nothing.

        What was seen before says nothing about a region that has just become active, so all counts begin anew.
        """
        if token <= self.token or active not in (self.active, self.standby):
            return self
        standby = self.standby if active == self.active else self.active
        return replace(self, active=active, standby=standby, token=token, since=at, sights={})

    def assess(self, now: float) -> Assessment:
        """What is to be thought of the active region at `now`."""
        gap = self.limits.gap
        if (both := self._both_write(now)) is not None:
            return Split(both)
        fresh = {vantage: sight for vantage, sight in self.sights.items() if not sight.stale(now, gap)}
        if (blind := self._blind(fresh, now)) is not None:
            return blind
        ahead = {vantage: sight for vantage, sight in fresh.items() if vantage.region == self.active}
        if self._lost(ahead, now):
            silences = [sight.silence(now) for sight in ahead.values() if not sight.judged]
            return Lost(self.active, min(silences), self._words(ahead, now))
        silent = [sight for sight in ahead.values() if not self._reaches(sight, now)]
        if not silent and (ahead or now - self.since <= gap):
            return Healthy()
        longest = max((sight.silence(now) for sight in silent), default=now - self.since)
        return Suspect(longest, self._words(ahead, now))

    def words(self, now: float) -> tuple[Word, ...]:
        """Every line of sight to the active region that still has a word."""
        gap = self.limits.gap
        ahead = {v: s for v, s in self.sights.items() if v.region == self.active and not s.stale(now, gap)}
        return self._words(ahead, now)

    def _both_write(self, now: float) -> tuple[str, str] | None:
        """Both regions, where both have said for a while that they take writes: in a switchover the one's last word
        and the other's first may cross."""
        gap = self.limits.gap
        for region in (self.active, self.standby):
            first, last = self.writable.get(region, (now, now))
            if now - last > gap or last - first < gap:
                return None
        return self.active, self.standby

    def _reaches(self, sight: Sight, now: float) -> bool:
        return sight.reached and (sight.judged or sight.silence(now) <= self.limits.gap)

    def _words(self, sights: Mapping[Vantage, Sight], now: float) -> tuple[Word, ...]:
        return tuple(
            Word(
                str(vantage), self._reaches(sight, now), 0.0 if sight.judged else round(sight.silence(now), 3)
            )
            for vantage, sight in sorted(sights.items())
        )

    def _blind(self, fresh: Mapping[Vantage, Sight], now: float) -> Blind | None:
        """What the witness itself sees of both regions, where that is nothing.

        It is not blind already when the active region falls silent, but when it has nothing from the other either.
        """
        own = [sight for vantage, sight in fresh.items() if vantage.place is Place.WITNESS]
        if not own or any(sight.silence(now) <= self.limits.gap for sight in own):
            return None
        return Blind(min(sight.silence(now) for sight in own))

    def _lost(self, ahead: Mapping[Vantage, Sight], now: float) -> bool:
        limit = self.limits.silence
        witness = [sight for vantage, sight in ahead.items() if vantage.place is Place.WITNESS]
        standby = ahead.get(Vantage(Place.STANDBY, Part.GUARD, self.active))
        if standby is None or standby.reached or not witness or now - self.since < limit:
            return False
        known = [v for v in self.sights if v.place is Place.WITNESS and v.region == self.active]
        if len(witness) < len(known):
            # A line of the witness's own along which it no longer looks is not one that agrees.
            return False
        return all(
            not sight.reached if sight.judged else sight.silence(now) >= limit for sight in ahead.values()
        )
