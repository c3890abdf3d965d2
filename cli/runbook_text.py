"""Plans, runs and runbooks as text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli.output import Colour, paint, table

if TYPE_CHECKING:
    from runbooks.engine.plan import Plan
    from runbooks.engine.runs import Run

_RISK_COLOURS: Mapping[str, Colour] = {"reads": "green", "changes": "yellow", "disrupts": "red"}
_STATE_COLOURS: Mapping[str, Colour] = {
    "succeeded": "green",
    "waiting": "yellow",
    "ready": "yellow",
    "running": "blue",
    "interrupted": "red",
    "failed-undone": "red",
    "failed-stopped": "red",
    "refused": "red",
}
_MARKS = {"due": "~", "done": "=", "later": "?", "refused": "!", "unknown": "!"}


def plan_text(plan: Plan) -> str:
    """What a person reads before agreeing."""
    risk = paint(plan.risk.value, _RISK_COLOURS[plan.risk.value])
    lines = [f"{plan.runbook}: {plan.summary}", f"  risk     {risk}"]
    if plan.needs_approval:
        lines.append("  approval by somebody other than the requester")
    lines.append(f"  targets  {', '.join(plan.targets) or 'none'}")
    for step in plan.steps:
        lines.append(f"  {_MARKS[step.due.value]} {step.name}: {step.detail or step.summary}")
        lines += [f"      {change.what}: {change.before} -> {change.after}" for change in step.changes]
    if plan.refused:
        lines.append(paint(f"  refused: {plan.refused}", "red"))
    elif not plan.acts:
        lines.append("  nothing is to be done")
    return "\n".join(lines)


def run_text(run: Run) -> str:
    """How a run ended, or what it waits for."""
    state = paint(run.state.value, _STATE_COLOURS.get(run.state.value, "dim"))
    lines = [f"{run.id}: {state}{_took(run)}{_why(run)}"]
    for step, output in run.outputs.items():
        shown = ", ".join(f"{name}={_short(value)}" for name, value in output.items())
        if shown:
            lines.append(f"  {step}: {shown}")
    match run.state.value:
        case "waiting":
            lines.append(f"  until {clock(run.approval_until)}, somebody other than {run.requester}:")
            lines.append(f"    vitalops runbook approve {run.id}")
            lines.append(f"    vitalops runbook reject {run.id} --reason TEXT")
        case "ready":
            lines.append(f"  to carry it out: vitalops runbook resume {run.id}")
        case "interrupted":
            lines.append(f"  to go on: vitalops runbook resume {run.id}")
            lines.append(f"  to undo it: vitalops runbook reject {run.id} --reason TEXT")
        case _:
            pass
    return "\n".join(lines)


def history_text(runs: tuple[Run, ...]) -> str:
    if not runs:
        return "no runs"
    rows = [
        (
            run.id,
            run.state.value,
            " ".join(run.targets),
            run.requester,
            clock(run.created),
            f"{run.ended - run.started:.1f} s" if run.ended and run.started else "",
            _cut(run.detail or run.reason),
        )
        for run in runs
    ]
    return table(("run", "state", "targets", "requester", "asked for", "took", "detail"), rows)


def clock(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min"


def _took(run: Run) -> str:
    return f" in {span(run.ended - run.started)}" if run.ended and run.started else ""


def _why(run: Run) -> str:
    if not run.detail or run.state.value == "succeeded":
        return ""
    where = f" at {run.step}" if run.step and not run.detail.startswith(f"{run.step}:") else ""
    return f"{where}: {run.detail}"


def _short(value: Any) -> str:
    return _cut(str(value), 60)


def _cut(text: str, length: int = 70) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"
