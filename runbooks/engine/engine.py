"""The engine: what may be asked of it, in one place. `port.Operations` says what each method promises."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from threading import Lock, Thread
from typing import Any, Final

from runbooks.engine import limits
from runbooks.engine.boundaries import Boundary, Moment
from runbooks.engine.claims import Claims
from runbooks.engine.desk import Desk
from runbooks.engine.execution import Execution, Paused, Session, Surroundings
from runbooks.engine.memo import Durability, Memo
from runbooks.engine.model import Parameters, Runbook
from runbooks.engine.plan import Plan
from runbooks.engine.planning import make_plan
from runbooks.engine.runs import Run, RunState
from vitalops.errors import UsageError, VitalopsError
from vitalops.ports.progress import Progress, SilentProgress

ENTER_SECONDS: Final = 60.0
"""A run that durable execution has not begun by then is given back."""
POLL_SECONDS: Final = 0.3
STOP_SECONDS: Final = 5.0
"""A run that is stopped is at rest by then: what its step still does ends with the process."""


class Engine:
    """Implements runbooks.engine.port.Operations."""

    def __init__(
        self,
        around: Surroundings,
        durability: Durability,
        claims: Claims,
        find: Callable[[str], Runbook[Any]],
    ) -> None:
        self._around = around
        self._durability = durability
        self._claims = claims
        self._desk = Desk(around, claims)
        self._find = find
        self._sessions: dict[str, Session] = {}
        self._lock = Lock()
        durability.attach(self._body)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def launch(self) -> None:
        """Make ready for a run that must not wait for it. Raises VitalopsError where the database cannot be used."""
        self._durability.launch()

    def close(self) -> None:
        """Stop what runs here before its next act; it can be taken up again."""
        for session in list(self._sessions.values()):
            session.stop.set()
        for session in list(self._sessions.values()):
            session.done.wait(STOP_SECONDS)
        self._durability.close()

    # Asking

    def plan(
        self,
        runbook: Runbook[Any],
        parameters: Parameters,
        progress: Progress | None = None,
        *,
        requester: str = "",
        reason: str = "",
    ) -> Plan:
        run = self._desk.drafted(runbook, parameters, requester, reason)
        refused = ""
        try:
            self._around.require_not_halted()
            with self._around.book.page() as page:
                self._desk.require_room(page, runbook, run)
        except UsageError as error:
            refused = str(error)
        return make_plan(
            runbook,
            parameters,
            self._around.running,
            requester=requester,
            reason=reason,
            refused=refused,
            progress=progress,
        )

    def start(
        self,
        runbook: Runbook[Any],
        parameters: Parameters,
        *,
        requester: str,
        reason: str = "",
        unattended: bool = False,
        approved_by: str = "",
        alert: bool = False,
        proposed: bool = False,
        key: str = "",
        plan: Plan | None = None,
        block: bool = True,
        progress: Progress | None = None,
    ) -> Run:
        platform = self._around.running.platform
        run = replace(self._desk.drafted(runbook, parameters, requester, reason), key=key, alert=alert)
        if key:
            with self._around.book.page() as page:
                if (known := page.by_key(key)) is not None:
                    return self._desk.seen(known)
        if approved_by:
            limits.require_may_approve(platform, approved_by, requester)
        agreed = (
            bool(approved_by)
            or not (proposed or limits.needs_approval(runbook))
            or (unattended and runbook.unattended and not proposed)
        )
        if agreed:
            run = replace(run, state=RunState.READY, decided_by=approved_by)
        else:
            until = run.created + platform.operations.approval_expires_minutes * 60
            run = replace(run, state=RunState.WAITING, approval_until=until)
        filed, new = self._desk.file(runbook, run, plan, unattended)
        if not new or filed.state is not RunState.READY:
            return self._desk.seen(filed)
        return self._carry_out(filed, requester, block, progress)

    def approve(self, run: str, *, actor: str, reason: str = "") -> Run:
        return self._desk.approve(run, actor, reason)

    def reject(self, run: str, *, actor: str, reason: str, progress: Progress | None = None) -> Run:
        found = self._desk.reject(run, actor, reason)
        if found.state is RunState.INTERRUPTED:
            return self._carry_out(found, actor, True, progress, giving_up=reason)
        return found

    def resume(self, run: str, *, actor: str, block: bool = True, progress: Progress | None = None) -> Run:
        self._desk.expire()
        found = self.run(run)
        if found.state not in (RunState.READY, RunState.INTERRUPTED):
            hints = {
                RunState.WAITING: f"approve it first: vitalops runbook approve {run}",
                RunState.RUNNING: "a living process carries it out",
            }
            raise UsageError(
                f"run {run} is {found.state.value}, and there is nothing to resume",
                hint=hints.get(found.state, "start a new one: vitalops runbook run"),
            )
        return self._carry_out(found, actor, block, progress)

    def wait(self, run: str, timeout: float | None = None) -> Run:
        clock = self._around.running.clock
        until = None if timeout is None else clock.monotonic() + timeout
        while True:
            found = self.run(run)
            if found.state not in (RunState.RUNNING, RunState.READY):
                return found
            if until is not None and clock.monotonic() >= until:
                return found
            session = self._sessions.get(run)
            if session is None or not session.done.wait(POLL_SECONDS):
                clock.sleep(POLL_SECONDS)

    def await_approval(self, run: str) -> Run:
        """Until somebody has decided, or the time for it is over."""
        while True:
            self._desk.expire()
            found = self.run(run)
            if found.state is not RunState.WAITING:
                return found
            self._around.running.clock.sleep(POLL_SECONDS)

    def follow(self, run: str, *, actor: str, progress: Progress | None = None) -> Run:
        """Carry it out here, or wait for its end where another process already does."""
        try:
            return self.resume(run, actor=actor, progress=progress)
        except UsageError:
            found = self.wait(run)
            if found.state is RunState.INTERRUPTED:
                raise
            return found

    def run(self, run: str) -> Run:
        return self._desk.seen(self._around.book.run(run))

    def runs(self, *, runbook: str = "", open_only: bool = False, limit: int = 100) -> tuple[Run, ...]:
        self._desk.expire()
        with self._around.book.page() as page:
            found = page.latest(runbook=runbook, open_only=open_only, limit=limit)
        return tuple(self._desk.seen(run) for run in found)

    def settle(self) -> None:
        """Finish what decisions of processes that died left unfinished: their records. Cheap; called by `runs` too."""
        self._desk.expire()

    # Carrying out

    def _carry_out(
        self, run: Run, actor: str, block: bool, progress: Progress | None, giving_up: str = ""
    ) -> Run:
        self._around.require_not_halted()
        runbook = self._find(run.runbook)
        if tuple(step.name for step in runbook.steps) != run.steps:
            raise UsageError(
                f"runbook {run.runbook} has other steps now than when run {run.id} was asked for",
                hint=f"reject it with the version of vitalops that began it, then start anew: {run.id}",
            )
        claim = self._claims.claim(run.id)
        if claim is None:
            raise UsageError(f"run {run.id} is being carried out by another process")
        try:
            run, resumed = self._taken(run.id, actor, giving_up)
        except BaseException:
            claim.release()
            raise
        if run.is_over or run.state is RunState.WAITING:
            claim.release()
            return run
        session = Session(run.id, actor, resumed, progress or SilentProgress(), claim)
        with self._lock:
            self._sessions[run.id] = session
        self._around.hook(Boundary(Moment.BEFORE_CARRYING_OUT))
        if not block:
            Thread(target=self._attempt, args=(session,), name=f"run {run.id}", daemon=True).start()
            return run
        return self._attempt(session)

    def _taken(self, run: str, actor: str, giving_up: str) -> tuple[Run, bool]:
        """The run, now that nobody else can carry it out, and whether it was begun before."""
        with self._around.book.page() as page:
            found = page.run(run)
            if found.state not in (RunState.READY, RunState.RUNNING, RunState.INTERRUPTED):
                return found, False
            if giving_up:
                page.give_up(run, actor, giving_up)
            return page.put(replace(found, state=RunState.RUNNING)), found.state is not RunState.READY

    def _attempt(self, session: Session) -> Run:
        try:
            (self._durability.go_on if session.resumed else self._durability.begin)(session.run)
            if not session.entered.wait(ENTER_SECONDS):
                raise VitalopsError(
                    f"run {session.run} was not taken up within {ENTER_SECONDS:g} s",
                    hint=f"vitalops runbook resume {session.run}",
                )
            session.done.wait()
        except KeyboardInterrupt:
            session.stop.set()
            session.done.wait(STOP_SECONDS)
            raise VitalopsError(
                f"run {session.run} is interrupted, and keeps its targets",
                hint=f"vitalops runbook resume {session.run}, or reject it to undo what it did",
            ) from None
        except BaseException:
            session.stop.set()
            raise
        finally:
            if not session.entered.is_set():
                self._leave(session)
        if session.error is not None and not isinstance(session.error, Paused):
            raise session.error
        return self.run(session.run)

    def _body(self, run: str, memo: Memo) -> None:
        session = self._sessions.get(run)
        if session is None:
            raise Paused(f"run {run} is not this process's")
        session.entered.set()
        try:
            self._desk.flush(run)
            kept = self._around.book.run(run)
            runbook = self._find(kept.runbook)
            parameters = runbook.parameters.model_validate(kept.parameters)
            Execution(self._around, session, kept, runbook, parameters).carry_out(memo)
        except Paused as pause:
            session.error = pause
            self._interrupted(run, pause.why)
            raise
        except Exception as error:
            # Not a step's failure but the engine's, or its database's: the run must stay one that can be resumed.
            session.error = (
                error if isinstance(error, VitalopsError) else VitalopsError(f"run {run}: {error!r}")
            )
            with suppress(VitalopsError):
                self._interrupted(run, str(session.error))
            raise Paused(str(error)) from error
        except BaseException as error:
            session.error = error
            raise
        finally:
            self._leave(session)
            session.done.set()

    def _leave(self, session: Session) -> None:
        with self._lock:
            self._sessions.pop(session.run, None)
        if session.claim is not None:
            session.claim.release()

    def _interrupted(self, run: str, why: str) -> None:
        with self._around.book.page() as page:
            found = page.run(run)
            if not found.is_over:
                page.put(replace(found, state=RunState.INTERRUPTED, detail=why))
