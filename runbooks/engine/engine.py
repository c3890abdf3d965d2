"""The engine: what may be asked of it, in one place. `port.Operations` says what each method promises."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from threading import Lock, Thread
from typing import Any, Final

from runbooks.engine import limits
from runbooks.engine.book import Page
from runbooks.engine.boundaries import Boundary, Moment
from runbooks.engine.claims import Claims
from runbooks.engine.execution import Execution, Paused, Session, Surroundings
from runbooks.engine.memo import Durability, Memo
from runbooks.engine.model import Parameters, Runbook
from runbooks.engine.plan import Plan
from runbooks.engine.planning import make_plan
from runbooks.engine.runs import Run, RunState
from vitalops.errors import UsageError, VitalopsError
from vitalops.evidence.record import Record, RecordKind
from vitalops.ports.progress import Progress, SilentProgress

ENTER_SECONDS: Final = 60.0
"""A run that durable execution has not begun by then is given back."""
POLL_SECONDS: Final = 0.3


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
        self._find = find
        self._sessions: dict[str, Session] = {}
        self._lock = Lock()
        durability.attach(self._body)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop what runs here before its next act; it can be taken up again."""
        for session in list(self._sessions.values()):
            session.stop.set()
        for session in list(self._sessions.values()):
            session.done.wait(5.0)
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
        run = self._drafted(runbook, parameters, requester, reason)
        refused = ""
        try:
            self._around.require_not_halted()
            with self._around.book.page() as page:
                self._require_room(page, runbook, run)
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
        run = replace(self._drafted(runbook, parameters, requester, reason), key=key, alert=alert)
        if key:
            with self._around.book.page() as page:
                if (known := page.by_key(key)) is not None:
                    return self._seen(known)
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
        filed, new = self._filed(runbook, run, plan, unattended)
        if not new or filed.state is not RunState.READY:
            return self._seen(filed)
        return self._carry_out(filed, requester, block, progress)

    def approve(self, run: str, *, actor: str, reason: str = "") -> Run:
        self._at(Moment.BEFORE_DECISION)
        self._expire()
        with self._around.book.page() as page:
            found = page.run(run)
            _require_waiting(found)
            limits.require_may_approve(self._around.running.platform, actor, found.requester)
            record = self._decision(RecordKind.APPROVED, found, actor, reason)
            found = page.put(replace(found, state=RunState.READY, decided_by=actor), record)
        self._at(Moment.AFTER_DECISION)
        self._flush(run)
        return found

    def reject(self, run: str, *, actor: str, reason: str, progress: Progress | None = None) -> Run:
        if not reason.strip():
            raise UsageError("a rejection needs a reason", hint="--reason TEXT")
        self._at(Moment.BEFORE_DECISION)
        self._expire()
        with self._around.book.page() as page:
            found = self._seen(page.run(run))
            if found.state in (RunState.WAITING, RunState.READY):
                now = self._now()
                record = self._decision(RecordKind.REJECTED, found, actor, reason)
                found = page.put(
                    replace(found, state=RunState.REJECTED, decided_by=actor, detail=reason, ended=now),
                    record,
                )
            elif found.state is not RunState.INTERRUPTED:
                raise UsageError(
                    f"run {run} is {found.state.value}: only what waits or is interrupted can be rejected",
                    hint="see: vitalops runbook history" if found.is_over else "halt it: vitalops halt",
                )
        self._at(Moment.AFTER_DECISION)
        self._flush(run)
        if found.state is RunState.INTERRUPTED:
            return self._carry_out(found, actor, True, progress, giving_up=reason)
        return found

    def resume(self, run: str, *, actor: str, block: bool = True, progress: Progress | None = None) -> Run:
        self._expire()
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
            self._expire()
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
        return self._seen(self._around.book.run(run))

    def runs(self, *, runbook: str = "", open_only: bool = False, limit: int = 100) -> tuple[Run, ...]:
        self._expire()
        with self._around.book.page() as page:
            found = page.latest(runbook=runbook, open_only=open_only, limit=limit)
        return tuple(self._seen(run) for run in found)

    def settle(self) -> None:
        """Finish what decisions of processes that died left unfinished: their records. Cheap; called by `runs` too."""
        self._expire()

    # Filing

    def _drafted(self, runbook: Runbook[Any], parameters: Parameters, requester: str, reason: str) -> Run:
        platform = self._around.running.platform
        return Run(
            id="",
            runbook=runbook.name,
            parameters=parameters.model_dump(mode="json"),
            targets=tuple(str(target) for target in runbook.targets(parameters, platform)),
            regions=tuple(runbook.regions(parameters, platform)),
            steps=tuple(step.name for step in runbook.steps),
            requester=requester,
            reason=reason,
            state=RunState.WAITING,
            created=self._now(),
        )

    def _require_room(self, page: Page, runbook: Runbook[Any], run: Run) -> None:
        if runbook.risk.acts:
            limits.require_free(page, run)
            limits.require_narrow(page, run, self._around.running.platform)
        if run.alert and run.state is RunState.READY:
            limits.require_rate(page, run, self._around.running.platform, run.created)

    def _filed(
        self, runbook: Runbook[Any], run: Run, plan: Plan | None, unattended: bool
    ) -> tuple[Run, bool]:
        """The run, and whether it is a new one."""
        self._at(Moment.BEFORE_FILING)
        run = replace(run, id=f"{run.runbook}-{_mark(run.key)}")
        asked = {"parameters": run.parameters, "regions": list(run.regions), "alert": run.alert}
        records = [self._about(RecordKind.REQUESTED, run, run.requester, {**asked, "unattended": unattended})]
        if plan is not None:
            records.append(self._about(RecordKind.PLANNED, run, run.requester, {"steps": _steps(plan)}))
        if run.state is RunState.WAITING:
            data = {"until": run.approval_until}
            records.append(self._about(RecordKind.WAITING, run, run.requester, data))
        elif run.decided_by:
            records.append(self._about(RecordKind.APPROVED, run, run.decided_by, {}))
        try:
            self._around.require_not_halted()
            with self._around.book.page() as page:
                if run.key and (known := page.by_key(run.key)) is not None:
                    return known, False
                if run.state is RunState.READY:
                    self._require_room(page, runbook, run)
                page.add(run, *records)
        except UsageError as error:
            refusal = {**asked, "detail": str(error)}
            with suppress(VitalopsError):
                self._around.journal.append(self._about(RecordKind.REFUSED, run, run.requester, refusal))
            raise
        self._at(Moment.AFTER_FILING)
        self._flush(run.id)
        return run, True

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
        with self._around.book.page() as page:
            # Read again, now that nobody else can carry it out.
            run = page.run(run.id)
            if run.state not in (RunState.READY, RunState.RUNNING, RunState.INTERRUPTED):
                claim.release()
                return run
            resumed = run.state is not RunState.READY
            run = page.put(replace(run, state=RunState.RUNNING))
            if giving_up:
                page.give_up(run.id, actor, giving_up)
        session = Session(run.id, actor, resumed, progress or SilentProgress(), claim)
        with self._lock:
            self._sessions[run.id] = session
        self._at(Moment.BEFORE_CARRYING_OUT)
        if not block:
            Thread(target=self._attempt, args=(session,), name=f"run {run.id}", daemon=True).start()
            return run
        return self._attempt(session)

    def _attempt(self, session: Session) -> Run:
        try:
            (self._durability.go_on if session.resumed else self._durability.begin)(session.run)
            if not session.entered.wait(ENTER_SECONDS):
                raise VitalopsError(
                    f"run {session.run} was not taken up within {ENTER_SECONDS:g} s",
                    hint=f"vitalops runbook resume {session.run}",
                )
            session.done.wait()
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
            self._flush(run)
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

    # Deciding, recording

    def _expire(self) -> None:
        """What nobody approved in time, and records that a process that died has left."""
        now = self._now()
        with self._around.book.page() as page:
            for run in page.latest(open_only=True, limit=10_000):
                if run.state is RunState.WAITING and run.approval_until <= now:
                    ended = replace(
                        run,
                        state=RunState.EXPIRED,
                        ended=run.approval_until,
                        detail="nobody approved it in time",
                    )
                    page.put(
                        ended, self._about(RecordKind.EXPIRED, run, "vitalops", {"until": run.approval_until})
                    )
            pending = page.with_unrecorded()
        for each in pending:
            self._flush(each, late=True)

    def _flush(self, run: str, late: bool = False) -> None:
        """Put a run's records into the journal. One process at a time; what a dead one put there is not put again."""
        claim = self._claims.claim(f"{run}.records")
        if claim is None:
            return
        try:
            with self._around.book.page() as page:
                records = page.unrecorded(run)
            there = self._recorded(run) if late and records else []
            for record in records:
                if record not in there:
                    self._at(Moment.BEFORE_JOURNAL)
                    self._append(record)
                    self._at(Moment.AFTER_JOURNAL)
            if records:
                with self._around.book.page() as page:
                    page.recorded(run)
        finally:
            claim.release()

    def _append(self, record: Record) -> None:
        try:
            self._around.journal.append(record)
        except VitalopsError as error:
            # A reason or a parameter that must not be kept: the record says so in its place.
            bare = replace(record, reason="", data={"withheld": error.message})
            self._around.journal.append(bare)

    def _recorded(self, run: str) -> list[Record]:
        return [entry.record for entry in self._around.journal.entries() if entry.record.operation == run]

    def _decision(self, kind: RecordKind, run: Run, actor: str, reason: str) -> Record:
        return replace(self._about(kind, run, actor, {"requester": run.requester}), reason=reason)

    def _about(self, kind: RecordKind, run: Run, actor: str, data: Mapping[str, Any]) -> Record:
        return Record(kind, run.id, run.runbook, actor, " ".join(run.targets), run.reason, data)

    def _seen(self, run: Run) -> Run:
        """As it stands: what is said to be running and has no living process is interrupted."""
        if run.state is RunState.RUNNING and not self._claims.is_claimed(run.id):
            return replace(run, state=RunState.INTERRUPTED)
        return run

    def _now(self) -> float:
        return self._around.running.clock.now().timestamp()

    def _at(self, moment: Moment) -> None:
        self._around.hook(Boundary(moment))


def _require_waiting(run: Run) -> None:
    if run.state is RunState.WAITING:
        return
    if run.state is RunState.EXPIRED:
        raise UsageError(f"the approval of run {run.id} has expired", hint="ask again: vitalops runbook run")
    by = f" by {run.decided_by}" if run.decided_by else ""
    raise UsageError(f"run {run.id} does not wait for approval: it is {run.state.value}{by}")


def _mark(key: str) -> str:
    """Six characters that are easy to type; of a key, always the same."""
    raw = hashlib.sha256(key.encode()).digest()[:4] if key else secrets.token_bytes(4)
    return base64.b32encode(raw).decode().lower()[:6]


def _steps(plan: Plan) -> list[dict[str, Any]]:
    return [
        {
            "step": step.name,
            "due": step.due.value,
            "detail": step.detail,
            "changes": [list(asdict(c).values()) for c in step.changes],
        }
        for step in plan.steps
    ]
