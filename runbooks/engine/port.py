"""What others may ask of the engine. `runbooks.engine.engine.Engine` is it; `runbooks.engine.local` makes one."""

from __future__ import annotations

from typing import Any, Protocol

from runbooks.engine.model import Parameters, Runbook
from runbooks.engine.plan import Plan
from runbooks.engine.runs import Run
from vitalops.ports.progress import Progress


class Operations(Protocol):
    """Runs of runbooks on one platform. Safe to use from several threads."""

    def plan(self, runbook: Runbook[Any], parameters: Parameters, progress: Progress | None = None) -> Plan:
        """Targets, and what each step's check says now. Changes nothing.

        Raises UsageError for a target that there is not; what a check refuses is in the plan.
        """
        ...

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
        """Ask for a run, and carry it out where it needs no approval (any more).

        A runbook that DISRUPTS waits for approval (`RunState.WAITING`) unless `approved_by` names somebody else than
        the requester who may approve, or `unattended` is said and the runbook allows it. `proposed` makes any run
        wait. `alert`: counted against operations.runs_per_hour. `key`: the run that was asked for with the same key is
        returned instead of a second one, whatever became of it. `block=False` returns at once and carries it out in a
        thread of this process.

        Raises UsageError where it is refused before there is a run: an unknown target, a halt, a limit, a target that
        another run holds. Whatever happens later is in the run.
        """
        ...

    def approve(self, run: str, *, actor: str, reason: str = "") -> Run:
        """Agree to a waiting run; it is `READY` then, and `resume` carries it out.

        Raises UsageError where it does not wait, has expired, or `actor` may not: the requester, or not an owner.
        """
        ...

    def reject(self, run: str, *, actor: str, reason: str, progress: Progress | None = None) -> Run:
        """Refuse a waiting run; give up an interrupted one, undoing what it did. Raises UsageError for any other."""
        ...

    def resume(self, run: str, *, actor: str, block: bool = True, progress: Progress | None = None) -> Run:
        """Carry out a run that is `READY` or `INTERRUPTED`, here. Raises UsageError for any other."""
        ...

    def wait(self, run: str, timeout: float | None = None) -> Run:
        """Until the run is over or waits for somebody, whichever process carries it out."""
        ...

    def run(self, run: str) -> Run:
        """Raises UsageError where there is none."""
        ...

    def runs(self, *, runbook: str = "", open_only: bool = False, limit: int = 100) -> tuple[Run, ...]:
        """Latest first. Approvals that have run out by now are expired by asking."""
        ...
