"""One run being carried out: its turns, each of which acts once and says what came of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, TypeVar

from runbooks.engine import limits
from runbooks.engine.book import Book
from runbooks.engine.boundaries import Boundary, Hook, Moment, nowhere
from runbooks.engine.budget import Asked, budget_left
from runbooks.engine.claims import Claim
from runbooks.engine.limited import Abandoned, OutOfTime, limited
from runbooks.engine.machine import Act, Event, Happened, Shape, State, after
from runbooks.engine.memo import Memo
from runbooks.engine.model import Parameters, Risk, Runbook, RunFacts, Step, StepContext
from runbooks.engine.recording import Recorder, Unrecorded
from runbooks.engine.runs import Run, RunState
from vitalops.errors import UsageError, VitalopsError
from vitalops.evidence.record import Journal, RecordKind
from vitalops.ports.progress import Progress, SilentProgress
from vitalops.ports.running import RunningPlatform

T = TypeVar("T")

AGAIN_SECONDS: Final = 3.0
"""A look at whether what was done before a crash is still there takes no longer."""
UNDO_ATTEMPTS: Final = 3


class Paused(BaseException):
    """The run goes no further here and now; it can be taken up again. Not an Exception: nothing may take it for the
    end of the run."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(slots=True)
class Surroundings:
    """What every run of a process shares."""

    running: RunningPlatform
    book: Book
    journal: Journal
    require_not_halted: Callable[[], None]
    """Raises UsageError while everything is halted."""
    hook: Hook = nowhere


@dataclass(slots=True)
class Session:
    """One attempt of this process at one run."""

    run: str
    actor: str
    """Who had it carried out, or taken up again."""
    resumed: bool
    progress: Progress = field(default_factory=SilentProgress)
    claim: Claim | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None


class Execution:
    """Carries a run out by `carry_out`, which may be called for the same run in any number of processes in turn."""

    def __init__(
        self, around: Surroundings, session: Session, run: Run, runbook: Runbook[Any], parameters: Parameters
    ) -> None:
        self._around = around
        self._session = session
        self._run = run
        self._runbook = runbook
        self._parameters = parameters
        self._shape = Shape(tuple(step.name for step in runbook.steps), runbook.undoes_on_failure)
        self._live = False
        self._recorder = Recorder(around.journal, around.book, run, session.actor, session.resumed)
        self._budget: Asked | None = None
        self._began: dict[str, float] = {}

    def carry_out(self, memo: Memo) -> State:
        """Raises Paused where it is to be taken up again later."""
        state, number = State(), 0
        previous: Event | None = None
        while state.act is not Act.NOTHING:
            event = Event.from_json(memo(partial(self._turn, number, state, previous)))
            if self._live:
                self._at(Moment.AFTER_TURN, event.step)
            state, previous, number = after(self._shape, state, event), event, number + 1
        return state

    def _at(self, moment: Moment, step: str = "") -> None:
        self._around.hook(Boundary(moment, step))

    # One turn

    def _turn(self, number: int, state: State, previous: Event | None) -> dict[str, Any]:
        return self._happens(number, state, previous).as_json()

    def _happens(self, number: int, state: State, previous: Event | None) -> Event:
        first, self._live = not self._live, True
        self._at(Moment.BEFORE_TURN, state.step(self._shape))
        if previous is not None:
            self._record(number - 1, previous, state)
        if state.act is Act.FINISH:
            return self._finish(number, state)
        self._require_leave()
        if first and (taken_up := self._taken_up(number, state)) is not None:
            return taken_up
        event = self._act(state)
        if self._budget is not None and (found := self._budget.take()) is not None:
            event = replace(event, data={**event.data, "budget": found})
        return event

    def _require_leave(self) -> None:
        """A run that may not act any more stops before its next act, whatever that is."""
        if self._session.stop.is_set():
            raise Paused("its process was asked to stop")
        if self._session.claim is not None and not self._session.claim.holds():
            raise Paused("this process lost its claim on the run")
        try:
            self._around.require_not_halted()
        except VitalopsError as error:
            raise Paused(error.message) from None

    def _act(self, state: State) -> Event:
        match state.act:
            case Act.BEGIN:
                return self._begin()
            case Act.CHECK:
                return self._check(state)
            case Act.APPLY:
                return self._apply(state)
            case Act.VERIFY:
                return self._verify(state)
            case _:
                return self._undo(state)

    def _begin(self) -> Event:
        now = self._around.running.clock.now().timestamp()
        with self._around.book.page() as page:
            run = page.run(self._run.id)
            if self._runbook.risk is not Risk.READS:
                try:
                    limits.require_free(page, run)
                    limits.require_narrow(page, run, self._around.running.platform)
                except UsageError as error:
                    return Event(Happened.REFUSED, detail=str(error))
                token = page.hold(run.targets, run.id, now)
            else:
                token = int(now * 1000)
            self._run = page.put(replace(run, token=token, started=run.started or now))
        if self._runbook.protects:
            self._budget = Asked(self._budget_left)
        return Event(Happened.BEGUN, data={"token": token})

    def _check(self, state: State) -> Event:
        step = self._runbook.steps[state.index]
        self._began.setdefault(step.name, self._around.running.clock.monotonic())
        self._session.progress.step(step.name, "checking")
        self._at(Moment.BEFORE_CHECK, step.name)
        try:
            verdict = self._call(step, state, step.check)
            facts = _plain(verdict.facts)
        except UsageError as error:
            return Event(Happened.REFUSED, step.name, str(error))
        except Exception as error:
            return _failure(step.name, "check", error)
        self._at(Moment.AFTER_CHECK, step.name)
        changes = [[each.what, each.before, each.after] for each in verdict.changes]
        if verdict.needed:
            return Event(Happened.DUE, step.name, verdict.detail, {"facts": facts, "changes": changes})
        if state.index not in state.touched:
            self._done(step.name)
        return Event(Happened.DONE, step.name, verdict.detail, {"facts": facts})

    def _apply(self, state: State) -> Event:
        step = self._runbook.steps[state.index]
        self._session.progress.step(step.name, step.summary)
        self._at(Moment.BEFORE_APPLY, step.name)
        began = self._around.running.clock.monotonic()
        try:
            output = _plain(self._call(step, state, step.apply))
        except Exception as error:
            return _failure(step.name, "apply", error)
        self._at(Moment.AFTER_APPLY, step.name)
        seconds = round(self._around.running.clock.monotonic() - began, 3)
        return Event(Happened.APPLIED, step.name, data={"output": output, "seconds": seconds})

    def _verify(self, state: State) -> Event:
        step = self._runbook.steps[state.index]
        self._session.progress.step(step.name, "verifying")
        self._at(Moment.BEFORE_VERIFY, step.name)
        try:
            self._call(step, state, step.verify)
        except Exception as error:
            return _failure(step.name, "verify", error)
        self._at(Moment.AFTER_VERIFY, step.name)
        self._done(step.name)
        return Event(Happened.VERIFIED, step.name)

    def _undo(self, state: State) -> Event:
        step = self._runbook.steps[state.index]
        if step.undo is None:
            return Event(Happened.LASTS, step.name, step.lasting)
        undo = step.undo
        self._session.progress.step(f"undo {step.name}")
        began = self._around.running.clock.monotonic()
        for attempt in range(1, UNDO_ATTEMPTS + 1):
            self._at(Moment.BEFORE_UNDO, step.name)
            try:
                self._call(step, state, undo)
            except OutOfTime as error:
                return Event(Happened.UNDO_FAILED, step.name, f"undoing {step.name} {error}")
            except Exception as error:
                if attempt == UNDO_ATTEMPTS:
                    return Event(Happened.UNDO_FAILED, step.name, f"undoing {step.name}: {_told(error)}")
                self._around.running.clock.sleep(attempt)
            else:
                break
        self._at(Moment.AFTER_UNDO, step.name)
        self._session.progress.done(f"undo {step.name}", self._around.running.clock.monotonic() - began)
        return Event(Happened.UNDONE, step.name)

    # Taking up

    def _taken_up(self, number: int, state: State) -> Event | None:
        """The first turn of a process that did not begin the run: nothing is taken on trust."""
        if not self._session.resumed:
            return None
        with self._around.book.page() as page:
            given_up = page.given_up(self._run.id)
        if given_up is not None:
            detail = f"given up by {given_up['actor']}: {given_up['reason']}"
            return Event(Happened.GIVEN_UP, detail=detail, data={"by": given_up["actor"]})
        if number == 0:
            return None
        gone = self._gone(state) if state.act in (Act.CHECK, Act.APPLY, Act.VERIFY) else []
        lost = bool(gone) and gone[-1] == state.index - 1
        names = [self._runbook.steps[index].name for index in gone]
        detail = f"no longer as it was left: {', '.join(names)}" if names else ""
        data = {"by": self._session.actor, "gone": names, "lost": lost}
        return Event(Happened.RESUMED, state.step(self._shape), detail, data)

    def _gone(self, state: State) -> list[int]:
        """Steps that were done and whose check would do them again."""
        found: list[int] = []
        for index in state.touched:
            if index >= state.index:
                continue
            step = self._runbook.steps[index]
            try:
                verdict = self._call(step, state, step.check, min(step.limit_seconds, AGAIN_SECONDS))
            except Exception:  # noqa: S112  # what cannot be looked at now is not known to be gone
                continue
            if verdict.needed:
                found.append(index)
        return found

    # The end

    def _finish(self, number: int, state: State) -> Event:
        outcome = state.outcome or RunState.FAILED_STOPPED
        detail = _summary(state)
        self._at(Moment.BEFORE_FINISH)
        if not self._recorder.has(number):
            after = self._budget_left() if state.token and self._runbook.protects else None
            run = self._around.book.run(self._run.id)
            now = self._around.running.clock.now().timestamp()
            data = {
                "turn": number,
                "outcome": outcome.value,
                "step": state.failed,
                "detail": detail,
                "seconds": round(now - run.started, 3) if run.started else 0.0,
                "outputs": state.outputs,
                "budget": {"before": state.budget, "after": after},
            }
            kind = RecordKind.REFUSED if outcome is RunState.REFUSED else RecordKind.FINISHED
            try:
                self._recorder.append(kind, data)
            except Unrecorded as error:
                raise Paused(str(error)) from None
        with self._around.book.page() as page:
            run = page.run(self._run.id)
            now = self._around.running.clock.now().timestamp()
            ended = replace(
                run, state=outcome, ended=now, detail=detail, step=state.failed, outputs=state.outputs
            )
            page.put(ended)
            page.release(run.id)
        self._at(Moment.AFTER_FINISH)
        return Event(Happened.FINISHED, detail=outcome.value)

    def _budget_left(self) -> dict[str, float | None]:
        return budget_left(self._around.running, self._run.regions, self._runbook.protects)

    # Recording, calling

    def _record(self, number: int, event: Event, state: State) -> None:
        if self._recorder.has(number):
            return
        self._at(Moment.BEFORE_JOURNAL, event.step)
        try:
            self._recorder.event(number, event, state.step(self._shape), state.outputs)
        except Unrecorded as error:
            raise Paused(str(error)) from None
        self._at(Moment.AFTER_JOURNAL, event.step)

    def _call(
        self, step: Step[Any], state: State, function: Callable[[StepContext[Any]], T], seconds: float = 0.0
    ) -> T:
        limit = seconds or step.limit_seconds
        facts = RunFacts(self._run.id, self._run.requester, self._run.reason, state.token, self._run.started)
        context = StepContext(
            self._parameters, self._around.running, facts, state.outputs, self._session.progress, limit
        )
        try:
            return limited(lambda: function(context), limit, self._session.stop, step.name)
        except Abandoned:
            raise Paused("its process was asked to stop") from None

    def _done(self, step: str) -> None:
        now = self._around.running.clock.monotonic()
        self._session.progress.done(step, now - self._began.pop(step, now))


def _summary(state: State) -> str:
    if state.outcome is RunState.SUCCEEDED:
        return ""
    text = state.detail
    if state.outcome is RunState.FAILED_UNDONE and state.lasting:
        return f"{text}; stays: {', '.join(state.lasting)}"
    return text


def _failure(step: str, function: str, error: Exception) -> Event:
    told = f"{step}: {_told(error)}"
    if isinstance(error, OutOfTime):
        # A check only looks: that its thread goes on harms nothing.
        if function == "check":
            return Event(Happened.FAILED, step, f"{step}: check {error}")
        stays = "its thread cannot be stopped and may still act, so nothing was undone"
        return Event(Happened.STUCK, step, f"{step}: {function} {error}; {stays}")
    return Event(Happened.FAILED, step, told, {"function": function})


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, VitalopsError) else f"{type(error).__name__}: {error}"


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON gives them back, so that a run taken up again sees what it would have seen."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(values)))
    return plain
