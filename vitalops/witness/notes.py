"""What the witness knows, and its word to the regions' guards. Pure but for the clock it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vitalops.detection.machine import Assessment, Limits, Watch
from vitalops.detection.sights import Part, Place, Vantage
from vitalops.fencing.report import GuardReport, Sight
from vitalops.ports.clock import Clock

WITNESS = "witness"


@dataclass(slots=True)
class Notes:
    """Listens to a poller. Everything in it is gone with the process, and known again after a few looks."""

    watch: Watch
    clock: Clock
    started: float
    """Monotonic."""
    given: dict[str, float] = field(default_factory=dict[str, float])
    """When each region's guard was last given leave to go on."""
    withheld: bool = False
    """Whether the active region is refused leave: it was found lost, and the other is being made active."""

    @classmethod
    def begin(cls, pair: str, regions: tuple[str, str], active: str, limits: Limits, clock: Clock) -> Notes:
        """`active` is what this machine last knew: the first guard that says otherwise is believed."""
        now = clock.monotonic()
        standby = regions[1] if active == regions[0] else regions[0]
        return cls(Watch(pair, active, standby, -1, now, limits), clock, now)

    def trying(self, vantage: Vantage, at: float) -> None:
        self.watch = self.watch.trying(vantage, at)

    def hearing(self, vantage: Vantage, at: float, report: GuardReport | None) -> None:
        watch = self.watch
        if report is not None and report.pair == watch.pair:
            turned = watch.turned(report.active, report.token, at)
            if turned is not watch:
                if turned.active != watch.active:
                    self.withheld = False
                watch = turned
            watch = watch.taking_writes(vantage.region, at, report.writable)
            if vantage.region == watch.standby:
                ahead = Vantage(Place.STANDBY, Part.GUARD, watch.active)
                for sight in report.sees:
                    if sight.place == watch.active:
                        watch = watch.told(ahead, at, sight.reached, sight.seconds)
        self.watch = watch.hearing(vantage, at)

    def ruling(self, judge: str, at: float, seen: Mapping[str, bool]) -> None:
        del (
            judge
        )  # several edges of a pair speak for one place: the one that reaches the region counts, while fresh
        for region, reached in seen.items():
            vantage = Vantage(Place.EDGE, Part.GATEWAY, region)
            before = self.watch.sights.get(vantage)
            if not reached and before and before.reached and not before.stale(at, self.watch.limits.interval):
                continue
            self.watch = self.watch.ruled(vantage, at, reached)

    def assess(self) -> Assessment:
        return self.watch.assess(self.clock.monotonic())

    def report_to(self, region: str) -> GuardReport | None:
        """The witness's word for a guard of `region` (empty: for anybody). None where the region is refused leave."""
        now, watch = self.clock.monotonic(), self.watch
        if region == watch.active:
            if self.withheld:
                return None
            self.given[region] = now
        # Whoever takes over asks for how long the *other* region has had no leave.
        other = watch.active if region != watch.active else watch.standby
        last = self.given.get(other if region else watch.active, self.started)
        return GuardReport(
            pair=watch.pair,
            place=WITNESS,
            token=watch.token,
            active=watch.active,
            role="",
            writable=False,
            fenced="",
            replication="",
            confirmed=False,
            received=0,
            sees=tuple(self._sight(each, now) for each in (watch.active, watch.standby)),
            clock=self.clock.now().timestamp(),
            renewed=round(now - last, 3),
        )

    def _sight(self, region: str, now: float) -> Sight:
        sight = self.watch.sights.get(Vantage(Place.WITNESS, Part.GUARD, region))
        if sight is None:
            return Sight(region, False, round(now - self.started, 3))
        silence = sight.silence(now)
        reached = sight.reached and silence <= self.watch.limits.gap
        return Sight(region, reached, 0.0 if reached else round(silence, 3))
