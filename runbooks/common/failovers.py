"""Runs of region-failover, as the witness asks for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from runbooks import registry
from runbooks.engine.model import Parameters, Runbook, Target
from runbooks.engine.port import Operations
from runbooks.engine.runs import Run, RunState
from vitalops.errors import VitalopsError
from vitalops.model.platform import FailoverPair
from vitalops.witness.automation import Filed, Loss
from vitalops.witness.notes import WITNESS

RUNBOOK: Final = "region-failover"
_WAITS: Final = frozenset({RunState.WAITING})
_STOPPED: Final = frozenset({RunState.INTERRUPTED, RunState.READY})


@dataclass(frozen=True, slots=True)
class EngineFailovers:
    """`vitalops.witness.automation.Failovers` on the engine of this process."""

    operations: Operations
    pair: FailoverPair
    runbook: Callable[[], Runbook[Any]] = lambda: registry.runbook(RUNBOOK)

    def open(self) -> Filed | None:
        run = self._open()
        return Filed(run.id, run.state in _WAITS) if run is not None else None

    def file(self, loss: Loss, *, unattended: bool) -> Filed:
        runbook = self.runbook()
        parameters: Parameters = runbook.parameters.model_validate(parameters_of(loss))
        run = self.operations.start(
            runbook,
            parameters,
            requester=WITNESS,
            reason=f"{loss.region} silent for {loss.decided - loss.silent_since:.1f} s ({loss.incident})",
            unattended=unattended,
            key=f"{WITNESS}/{loss.incident}",
            block=False,
        )
        return Filed(run.id, run.state in _WAITS)

    def ended(self, run: str) -> str:
        try:
            found = self.operations.run(run)
        except VitalopsError as error:
            return f"cannot be found: {error}"
        return found.state.value if found.is_over else ""

    def take_up(self) -> str:
        run = self._open()
        if run is None or run.requester != WITNESS or run.state not in _STOPPED:
            return ""
        return self.operations.resume(run.id, actor=WITNESS, block=False).id

    def _open(self) -> Run | None:
        target = str(Target("pair", self.pair.name))
        runs = self.operations.runs(runbook=RUNBOOK, open_only=True)
        return next((run for run in runs if target in run.targets), None)


def parameters_of(loss: Loss) -> dict[str, Any]:
    """The runbook's parameters for a loss: unplanned, to the other region."""
    return {"pair": loss.pair, "to": loss.other}
