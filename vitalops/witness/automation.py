"""What the witness does about a loss: nothing twice, nothing against a halt, and never without saying so."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from vitalops.detection.machine import Assessment, Blind, Healthy, Lost, Split, Suspect
from vitalops.errors import VitalopsError
from vitalops.evidence.record import Journal, Record, RecordKind
from vitalops.model.failover import FailoverMode
from vitalops.ports.clock import Clock
from vitalops.witness.notes import WITNESS

NAME = "region-loss"
RETRY_SECONDS = 5.0
NOTICE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Loss:
    """What was decided, for whoever carries it out. Times are seconds since the epoch."""

    pair: str
    region: str
    """The lost one."""
    other: str
    token: int
    """By which the lost one is active."""
    silent_since: float
    decided: float
    incident: str
    """Id under which the journal keeps what was seen."""


@dataclass(frozen=True, slots=True)
class Filed:
    """A run of region-failover that exists now. `waits` for approval where it does."""

    run: str
    waits: bool


class Failovers(Protocol):
    """The runs of region-failover of one pair. Raises UsageError where one is refused: a halt, a lock, a limit."""

    def open(self) -> Filed | None:
        """A run that is not over yet."""
        ...

    def file(self, loss: Loss, *, unattended: bool) -> Filed:
        """Ask for one. Returns at once, also where it begins to act."""
        ...

    def ended(self, run: str) -> str:
        """How a run ended; empty while it goes on."""
        ...

    def take_up(self) -> str:
        """Go on with a run that an earlier witness began and left. Returns its id; empty where there is none."""
        ...


class Log(Protocol):
    def say(self, text: str) -> None: ...


@dataclass(slots=True)
class Automation:
    """Called again and again with what is thought of the active region. Not for several threads at once."""

    pair: str
    mode: FailoverMode
    failovers: Failovers
    journal: Journal
    clock: Clock
    log: Log
    said: str = ""
    """What was last said, so that it is not said again."""
    handled: Loss | None = None
    """The loss for which there is a run, until the region is there again or another one is active."""
    filed: Filed | None = None
    _recorded: Loss | None = None
    _asked: float = field(default=float("-inf"))
    _suspected: float = field(default=float("inf"))
    """Since when something has been out of sight without a break."""
    _told_split: bool = False

    def take_up(self) -> None:
        """Go on with what an earlier witness began and left: called once, at the start."""
        if self.mode is not FailoverMode.AUTOMATIC:
            return
        try:
            if run := self.failovers.take_up():
                self.filed = Filed(run, waits=False)
                self.log.say(f"{run} goes on")
        except VitalopsError as error:
            self.log.say(f"a failover that was left cannot go on: {error}")

    def consider(self, found: Assessment, active: str, other: str, token: int) -> bool:
        """Act on `found`. Returns whether the active region is to be refused leave from now on."""
        if self.handled is not None and (self.handled.token, self.handled.region) != (token, active):
            self._say(f"{active} is active now (token {token})")
            self.handled = self._recorded = None
        match found:
            case Healthy():
                if self.said:
                    self._say("")
                    self.log.say(f"{active}: everybody reaches it")
                self._told_split, self._suspected = False, float("inf")
                self._forget()
            case Suspect():
                self._suspect(found, active)
            case Blind():
                self._say("neither region is reached from here: nothing is done")
            case Split():
                self._split(found, token)
            case Lost():
                return self._lost(found, other, token)
        return self._acting()

    def _acting(self) -> bool:
        """A run that acts goes on, whatever is seen meanwhile."""
        return (
            self.handled is not None
            and self.filed is not None
            and not self.filed.waits
            and not self.failovers.ended(self.filed.run)
        )

    def _forget(self) -> None:
        """The region is there: the next loss is another one. A run that still acts is left to end."""
        if self.filed is None or self.filed.waits or self.failovers.ended(self.filed.run):
            self.handled = self.filed = self._recorded = None

    def _suspect(self, found: Suspect, active: str) -> None:
        """Said when it lasts: one late answer on a busy machine is nothing to tell anybody."""
        now = self.clock.monotonic()
        self._suspected = min(self._suspected, now)
        if now - self._suspected >= NOTICE_SECONDS:
            silent = [word.vantage for word in found.words if not word.reached]
            self._say(f"{active}: no answer along {', '.join(silent) or 'any line'}")

    def _split(self, found: Split, token: int) -> None:
        both = " and ".join(found.regions)
        self._say(f"{both} both take writes: nothing is done, a person must decide")
        if not self._told_split:
            self._told_split = True
            self._record(f"split-{self.pair}-{token}", f"{both} both take writes", {"token": token})

    def _lost(self, found: Lost, other: str, token: int) -> bool:
        if self.filed is not None and self.handled is None:
            # Of the region that was active before.
            if not self.failovers.ended(self.filed.run):
                return False
            self.filed = None
        if self.filed is not None:
            ended = self.failovers.ended(self.filed.run)
            if ended:
                self._say(f"{found.region} is lost; {self.filed.run} {ended}: a person must look at it")
            return not ended and not self.filed.waits
        loss = self._loss(found, other, token)
        now = self.clock.monotonic()
        if now - self._asked < RETRY_SECONDS:
            return False
        self._asked = now
        try:
            self.filed = self.failovers.open() or self.failovers.file(
                loss, unattended=self.mode is FailoverMode.AUTOMATIC
            )
        except VitalopsError as error:
            self._say(f"{found.region} is lost; failing over is refused: {error}")
            return False
        self.handled = loss
        if self.filed.waits:
            self._say(
                f"{found.region} is lost; {self.filed.run} waits: vitalops runbook approve {self.filed.run}"
            )
            return False
        self._say(f"{found.region} is lost; {self.filed.run} makes {other} active")
        return True

    def _loss(self, found: Lost, other: str, token: int) -> Loss:
        """The loss, recorded once."""
        if self._recorded is not None:
            return self._recorded
        now = self.clock.now().timestamp()
        incident = f"loss-{self.pair}-{int(now)}"
        since = now - found.seconds
        loss = Loss(self.pair, found.region, other, token, since, now, incident)
        data = {
            "region": found.region,
            "token": token,
            "silent_since": round(since, 3),
            "decided": round(now, 3),
            "mode": self.mode.value,
            "words": [asdict(word) for word in found.words],
        }
        self._record(incident, f"{found.region} is reached by nobody", data)
        self._recorded = loss
        return loss

    def _record(self, operation: str, reason: str, data: dict[str, Any]) -> None:
        record = Record(RecordKind.OBSERVED, operation, NAME, WITNESS, f"pair/{self.pair}", reason, data)
        try:
            self.journal.append(record)
        except VitalopsError as error:
            # A full disk must not stand between a lost region and the one that could serve.
            self.log.say(f"the journal does not take what was observed: {error}")

    def _say(self, text: str) -> None:
        if text != self.said:
            self.said = text
            if text:
                self.log.say(text)
