"""Making a plan: every check, and nothing that acts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from runbooks.engine.limited import OutOfTime, limited
from runbooks.engine.model import Parameters, Risk, Runbook, RunFacts, Step, StepContext, Verdict
from runbooks.engine.plan import Due, Plan, PlannedStep
from vitalops.errors import UsageError, VitalopsError
from vitalops.ports.progress import Progress, SilentProgress
from vitalops.ports.running import RunningPlatform


def make_plan(
    runbook: Runbook[Any],
    parameters: Parameters,
    running: RunningPlatform,
    *,
    requester: str = "",
    reason: str = "",
    refused: str = "",
    progress: Progress | None = None,
) -> Plan:
    """Raises UsageError for a target that there is not. `refused` is what the engine itself would refuse it for."""
    targets = runbook.targets(parameters, running.platform)
    regions = runbook.regions(parameters, running.platform)
    facts = RunFacts("", requester, reason, 0, running.clock.now().timestamp())
    outputs: dict[str, Mapping[str, Any]] = {}
    waits_for = ""
    planned: list[PlannedStep] = []
    for step in runbook.steps:
        context: StepContext[Any] = StepContext(
            parameters, running, facts, outputs, progress or SilentProgress(), step.limit_seconds
        )
        if progress is not None:
            progress.step(step.name, "checking")
        began = running.clock.monotonic()
        found = _look(step, context, waits_for, outputs)
        if progress is not None:
            progress.done(step.name, running.clock.monotonic() - began)
        planned.append(found)
        if found.due in (Due.REFUSED, Due.UNKNOWN):
            refused = refused or found.detail
            break
        if found.due is Due.DUE and not step.reads_only:
            waits_for = waits_for or step.name
    return Plan(
        runbook=runbook.name,
        summary=runbook.summary,
        risk=runbook.risk,
        targets=tuple(str(target) for target in targets),
        regions=regions,
        parameters=parameters.model_dump(mode="json"),
        steps=tuple(planned),
        refused=refused,
        needs_approval=runbook.risk is Risk.DISRUPTS,
    )


def _look(
    step: Step[Any], context: StepContext[Any], waits_for: str, outputs: dict[str, Mapping[str, Any]]
) -> PlannedStep:
    undo = "undone on failure" if step.undo else step.lasting

    def say(due: Due, detail: str, verdict: Verdict | None = None) -> PlannedStep:
        changes = verdict.changes if verdict else ()
        return PlannedStep(step.name, step.summary, due, detail, changes, step.limit_seconds, undo)

    try:
        verdict = _called(step, context, step.check)
        outputs[step.name] = verdict.facts
        if verdict.needed and step.reads_only:
            outputs[step.name] = {**verdict.facts, **_called(step, context, step.apply)}
    except OutOfTime as error:
        return say(Due.UNKNOWN, f"{step.name}: check {error}")
    except Exception as error:
        told = str(error) if isinstance(error, VitalopsError) else f"{type(error).__name__}: {error}"
        if waits_for:
            # It looks at a platform on which an earlier step has not acted yet.
            return say(Due.LATER, f"known once {waits_for} is done")
        return say(Due.REFUSED if isinstance(error, UsageError) else Due.UNKNOWN, told)
    return say(Due.DUE if verdict.needed else Due.DONE, verdict.detail, verdict)


def _called(step: Step[Any], context: StepContext[Any], function: Callable[[StepContext[Any]], Any]) -> Any:
    return limited(lambda: function(context), step.limit_seconds, threading.Event(), f"plan {step.name}")
