"""Acts on incidents, each exactly once: what was stored and not acted on is gone on with after any crash.

An incident is marked as acted on after its run exists. A crash between the two means that the run is asked for again,
with the same key, and the engine answers with the one there is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from runbooks.engine.limits import Busy
from runbooks.engine.model import Runbook
from runbooks.engine.port import Operations
from runbooks.engine.runs import RunState
from runbooks.serve.answering import answer
from runbooks.serve.incidents import Incident, IncidentState
from runbooks.serve.store import ACTOR, IncidentStore, Outcome
from vitalops.errors import UsageError, VitalopsError
from vitalops.evidence.screening import text_holds
from vitalops.halt import Halt
from vitalops.model.platform import Platform
from vitalops.ports.clock import Clock

BATCH: Final = 200
BUSY_SECONDS: Final = 30.0
"""What another run is in the way of is tried again after so long."""
RETRY_SECONDS: Final = 5.0
"""What could not be asked for, as the engine's database was not reached, is asked for again after so long."""
KEY_PREFIX: Final = "alert/"


class Acting:
    """One pass is `act`; the thread of `Loop` repeats it."""

    def __init__(
        self,
        store: IncidentStore,
        operations: Operations,
        runbooks: Sequence[Runbook[Any]],
        platform: Platform,
        halted: Callable[[], Halt | None],
        clock: Clock,
    ) -> None:
        self._store, self._operations, self._halted = store, operations, halted
        self._runbooks, self._platform, self._clock = runbooks, platform, clock

    def act(self) -> bool:
        """Act on a batch; whether there may be more to do at once. Raises VitalopsError where the store fails."""
        batch = self._store.to_act_on(BATCH, self._now())
        outcomes: list[Outcome] = []
        try:
            for incident in batch:
                if incident.is_open and (halt := self._halted()) is not None:
                    self._store.put_off(incident.id, incident.received, _waiting_for(halt))
                    return False
                if (outcome := self._act_on(incident)) is not None:
                    outcomes.append(outcome)
        finally:
            if outcomes:
                self._store.acted(outcomes)
        return len(batch) == BATCH

    def _act_on(self, incident: Incident) -> Outcome | None:
        """None where it was put off."""
        if not incident.is_open:
            return Outcome(incident, IncidentState.PASSED, detail="it had ended before anything was done")
        try:
            found = answer(incident, self._runbooks, self._platform)
        except UsageError as error:
            return Outcome(incident, IncidentState.REFUSED, detail=str(error))
        if found is None:
            return Outcome(incident, IncidentState.UNANSWERED, detail="no runbook answers this alert")
        name = found.runbook.name
        try:
            run = self._operations.start(
                found.runbook,
                found.parameters,
                requester=ACTOR,
                reason=reason_of(incident),
                alert=True,
                proposed=not found.starts,
                key=f"{KEY_PREFIX}{incident.key}",
                block=False,
            )
        except Busy as error:
            return self._put_off(incident, BUSY_SECONDS, f"{name} waits: {error.message}")
        except UsageError as error:
            if (halt := self._halted()) is not None:
                return self._put_off(incident, 0.0, _waiting_for(halt))
            return Outcome(incident, IncidentState.REFUSED, name, detail=str(error))
        except VitalopsError as error:
            return self._put_off(incident, RETRY_SECONDS, f"{name} could not be asked for yet: {error}")
        match run.state:
            case RunState.WAITING:
                return Outcome(incident, IncidentState.FILED, name, run.id, "waits for approval")
            case RunState.REFUSED:
                return Outcome(incident, IncidentState.REFUSED, name, run.id, run.detail)
            case _:
                return Outcome(incident, IncidentState.STARTED, name, run.id, run.detail)

    def _put_off(self, incident: Incident, seconds: float, detail: str) -> None:
        self._store.put_off(incident.id, self._now() + seconds, detail)

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _waiting_for(halt: Halt) -> str:
    return f"stored and not acted on: {halt}"


def reason_of(incident: Incident) -> str:
    """Why the run was asked for; without a summary that the journal would not keep."""
    said = "" if text_holds(incident.summary) else f": {incident.summary}" if incident.summary else ""
    return f"{incident.name} ({incident.id}){said}"


def go_on(operations: Operations) -> tuple[str, ...]:
    """Carry out what alerts asked for and a process that is gone left behind. Returns what could not be, by run."""
    problems: list[str] = []
    for run in operations.runs(open_only=True, limit=1000):
        if run.alert and run.state in (RunState.READY, RunState.INTERRUPTED):
            try:
                operations.resume(run.id, actor=ACTOR, block=False)
            except VitalopsError as error:
                problems.append(f"{run.id}: {error}")
    return tuple(problems)


class Loop:
    """A thread that repeats `work` until it says that nothing is left, and again when it is woken or time has passed.

    Use it as a context manager. What `work` raises goes to `complain` and is tried again.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], bool],
        complain: Callable[[str], None],
        retry_seconds: float,
    ) -> None:
        self._name, self._work, self._complain, self._retry = name, work, complain, retry_seconds
        self._woken = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Loop:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._woken.set()
        self._thread.join()

    def wake(self) -> None:
        self._woken.set()

    def _run(self) -> None:
        while not self._stopped:
            self._woken.clear()
            try:
                if self._work():
                    continue
            except VitalopsError as error:
                self._complain(f"{self._name}: {error}")
            except Exception as error:
                self._complain(f"{self._name}: {type(error).__name__}: {error}")
            self._woken.wait(self._retry)
