"""The desk: what is asked for is filed here, decided here, and every word of it is put into the journal."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from runbooks.engine import limits
from runbooks.engine.book import Page
from runbooks.engine.boundaries import Boundary, Moment
from runbooks.engine.claims import Claims
from runbooks.engine.execution import Surroundings
from runbooks.engine.model import Parameters, Runbook
from runbooks.engine.plan import Plan
from runbooks.engine.runs import Run, RunState
from vitalops.errors import UsageError, VitalopsError
from vitalops.evidence.record import Record, RecordKind
from vitalops.evidence.screening import screen


class Desk:
    """Runs before and after they are carried out. Decisions are serial: of two people, one is refused."""

    def __init__(self, around: Surroundings, claims: Claims) -> None:
        self._around = around
        self._claims = claims

    def drafted(self, runbook: Runbook[Any], parameters: Parameters, requester: str, reason: str) -> Run:
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
            created=self.now(),
        )

    def require_room(self, page: Page, runbook: Runbook[Any], run: Run) -> None:
        if runbook.risk.acts:
            limits.require_free(page, run)
            limits.require_narrow(page, run, self._around.running.platform)
        if run.alert and run.state is RunState.READY:
            limits.require_rate(page, run, self._around.running.platform, run.created)

    def file(self, runbook: Runbook[Any], run: Run, plan: Plan | None, unattended: bool) -> tuple[Run, bool]:
        """The run, and whether it is a new one."""
        self._at(Moment.BEFORE_FILING)
        run = replace(run, id=self._name(run))
        asked = {"parameters": run.parameters, "regions": list(run.regions), "alert": run.alert}
        records = [self._about(RecordKind.REQUESTED, run, run.requester, {**asked, "unattended": unattended})]
        if plan is not None:
            records.append(self._about(RecordKind.PLANNED, run, run.requester, {"steps": _steps(plan)}))
        if run.state is RunState.WAITING:
            data = {"until": run.approval_until}
            records.append(self._about(RecordKind.WAITING, run, run.requester, data))
        elif run.decided_by:
            records.append(self._about(RecordKind.APPROVED, run, run.decided_by, {}))
        screen(records[0])
        try:
            self._around.require_not_halted()
            with self._around.book.page() as page:
                if run.key and (known := page.by_key(run.key)) is not None:
                    return known, False
                if run.state is RunState.READY:
                    self.require_room(page, runbook, run)
                page.add(run, *records)
        except UsageError as error:
            refusal = {**asked, "detail": str(error)}
            with suppress(VitalopsError):
                self._around.journal.append(self._about(RecordKind.REFUSED, run, run.requester, refusal))
            raise
        self._at(Moment.AFTER_FILING)
        self.flush(run.id)
        return run, True

    def _name(self, run: Run) -> str:
        while True:
            name = f"{run.runbook}-{_mark(run.key)}"
            with self._around.book.page() as page:
                if run.key or page.find(name) is None:
                    return name

    def approve(self, run: str, actor: str, reason: str) -> Run:
        self._at(Moment.BEFORE_DECISION)
        self.expire()
        with self._around.book.page() as page:
            found = page.run(run)
            _require_waiting(found)
            limits.require_may_approve(self._around.running.platform, actor, found.requester)
            record = self._decision(RecordKind.APPROVED, found, actor, reason)
            found = page.put(replace(found, state=RunState.READY, decided_by=actor), record)
        self._at(Moment.AFTER_DECISION)
        self.flush(run)
        return found

    def reject(self, run: str, actor: str, reason: str) -> Run:
        """Refuse a run that has not begun. One that is interrupted is returned as it is: it is to be undone."""
        if not reason.strip():
            raise UsageError("a rejection needs a reason", hint="--reason TEXT")
        self._at(Moment.BEFORE_DECISION)
        self.expire()
        with self._around.book.page() as page:
            found = self.seen(page.run(run))
            if found.state in (RunState.WAITING, RunState.READY):
                record = self._decision(RecordKind.REJECTED, found, actor, reason)
                ended = replace(
                    found, state=RunState.REJECTED, decided_by=actor, detail=reason, ended=self.now()
                )
                found = page.put(ended, record)
            elif found.state is not RunState.INTERRUPTED:
                raise UsageError(
                    f"run {run} is {found.state.value}: only what waits or is interrupted can be rejected",
                    hint="see: vitalops runbook history" if found.is_over else "stop it: vitalops halt",
                )
        self._at(Moment.AFTER_DECISION)
        self.flush(run)
        return found

    def expire(self) -> None:
        """What nobody approved in time, and records that a process that died has left."""
        now = self.now()
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
            self.flush(each, late=True)

    def flush(self, run: str, late: bool = False) -> None:
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
        record = replace(self._about(kind, run, actor, {"requester": run.requester}), reason=reason)
        screen(record)
        return record

    def _about(self, kind: RecordKind, run: Run, actor: str, data: Mapping[str, Any]) -> Record:
        return Record(kind, run.id, run.runbook, actor, " ".join(run.targets), run.reason, data)

    def seen(self, run: Run) -> Run:
        """As it stands: what is said to be running and has no living process is interrupted."""
        if run.state is RunState.RUNNING and not self._claims.is_claimed(run.id):
            return replace(run, state=RunState.INTERRUPTED)
        return run

    def now(self) -> float:
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
    """What ends a run's id: six characters that are easy to type; of a key ten, so that many keys do not collide."""
    if not key:
        return base64.b32encode(secrets.token_bytes(4)).decode().lower()[:6]
    return base64.b32encode(hashlib.sha256(key.encode()).digest()).decode().lower()[:10]


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
