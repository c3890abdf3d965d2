"""`vitalops runbook run NAME`: a command for each runbook, its options made from the runbook's parameters."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from cli import complete, context
from cli.confirm import confirm
from cli.examples import examples
from cli.options import furnish
from cli.output import emit
from cli.progress import progress
from vitalops.errors import GateFailed, RemoteError, UsageError

if TYPE_CHECKING:
    from runbooks.engine.engine import Engine
    from runbooks.engine.model import Parameters, Runbook
    from runbooks.engine.parameters import Parameter
    from runbooks.engine.plan import Plan
    from runbooks.engine.runs import Run

_COMPLETIONS = {"region": complete.regions, "pair": complete.pairs, "service": complete.services}


class RunGroup(TyperGroup):
    """Its commands are the registered runbooks, each imported when it is named."""

    def list_commands(self, ctx: Any) -> list[str]:
        from runbooks import registry

        return list(registry.names())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        from runbooks import registry

        return command(registry.runbook(cmd_name))


def command(runbook: Runbook[Any]) -> Any:
    """The command of one runbook."""
    from runbooks.engine.parameters import parameters_of

    def call(**values: Any) -> None:
        common = {name: values.pop(name) for name in ("dry_run", "reason", "actor", "wait")}
        given = {each.name: values[each.name] for each in parameters_of(runbook.parameters)}
        run_it(runbook, given, **common)

    signature = [_declared(each) for each in parameters_of(runbook.parameters)] + list(_COMMON)
    call.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in signature}
    call.__doc__ = (
        f"{runbook.summary[:1].upper()}{runbook.summary[1:].rstrip('.')}.\n\nRisk: {runbook.risk.value}."
    )
    app = typer.Typer(add_completion=False)
    app.command(name=runbook.name)(examples(f"{runbook.example} --dry-run", runbook.example)(call))
    return furnish(typer.main.get_command(app), runbook.name)


def _declared(parameter: Parameter) -> inspect.Parameter:
    help_text = parameter.help
    if parameter.choices:
        help_text = f"{help_text} One of: {', '.join(parameter.choices)}."
    if parameter.shown_default and not parameter.flag:
        help_text = f"{help_text} [default: {parameter.shown_default}]"
    flag = f"{parameter.option}/--no-{parameter.option[2:]}" if parameter.flag else parameter.option
    option = typer.Option(
        flag,
        help=help_text,
        show_default=False,
        autocompletion=_COMPLETIONS.get(parameter.name.removesuffix("s")),
    )
    kind: Any = bool if parameter.flag else str
    if parameter.many:
        kind = list[str]
    default: Any = inspect.Parameter.empty if parameter.required else None
    annotation = Annotated[kind if parameter.required else kind | None, option]
    return inspect.Parameter(
        parameter.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _common(name: str, kind: Any, default: Any, *flags: str, **more: Any) -> inspect.Parameter:
    annotation = Annotated[kind, typer.Option(*flags, show_default=False, **more)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


_COMMON = (
    _common("dry_run", bool, False, "--dry-run", help="Only show the plan: what each step's check says now."),
    _common("reason", str, "", "--reason", metavar="TEXT", help="Why; kept in the journal."),
    _common(
        "actor", str, "", "--as", metavar="NAME", help="Who asks; else VITALOPS_ACTOR, else the login name."
    ),
    _common(
        "wait", bool, False, "--wait", help="Where it needs approval, wait for that and carry it out here."
    ),
)
COMMON_NAMES = frozenset(each.name for each in _COMMON) | {"platform", "output", "yes", "as", "help"}
"""What no runbook may call a parameter."""


def open_engine() -> Engine:
    """The engine on the platform of this command line."""
    from cli.operated import operated
    from runbooks.engine.local import open_engine as opened
    from vitalops.paths import Paths

    platform = context.current().load_platform()
    paths = Paths.from_environment()
    return opened(operated(platform, paths), paths)


def run_it(
    runbook: Runbook[Any], given: dict[str, Any], *, dry_run: bool, reason: str, actor: str, wait: bool
) -> None:
    """Plan, ask, carry out, tell. Raises UsageError and GateFailed for what is refused."""
    from cli.operations import actor as whoever
    from cli.runbook_text import plan_text
    from runbooks.engine.model import Risk
    from runbooks.engine.parameters import parse
    from runbooks.engine.plan import Due

    requester = actor or whoever()
    parameters = parse(runbook, given)
    with open_engine() as engine:
        with progress() as steps:
            plan = engine.plan(runbook, parameters, steps, requester=requester, reason=reason)
        if dry_run:
            emit(plan, plan_text)
            if plan.refused:
                raise typer.Exit(1)
            return
        _show(plan)
        if plan.refused:
            if any(step.due is Due.UNKNOWN for step in plan.steps):
                raise RemoteError(plan.refused)
            if any(step.due is Due.REFUSED for step in plan.steps):
                raise GateFailed(plan.refused)
            raise UsageError(plan.refused)
        if not plan.acts:
            emit({"plan": plan, "run": None}, lambda _: "nothing is to be done")
            return
        if runbook.risk is not Risk.READS:
            confirm(_question(runbook, plan))
        told(_carried_out(engine, runbook, parameters, plan, requester, reason, wait))


def _carried_out(
    engine: Engine,
    runbook: Runbook[Any],
    parameters: Parameters,
    plan: Plan,
    requester: str,
    reason: str,
    wait: bool,
) -> Run:
    with progress() as steps:
        run = engine.start(runbook, parameters, requester=requester, reason=reason, plan=plan, progress=steps)
        if run.state.value == "waiting" and wait:
            steps.step("approval", f"waiting: vitalops runbook approve {run.id}")
            run = engine.await_approval(run.id)
            if run.state.value == "ready":
                run = engine.follow(run.id, actor=requester, progress=steps)
    return run


def _question(runbook: Runbook[Any], plan: Plan) -> str:
    on = ", ".join(plan.targets)
    if plan.needs_approval:
        return f"Ask for approval of {runbook.name} on {on}?"
    return f"Run {runbook.name} on {on}?"


def _show(plan: Plan) -> None:
    from cli.runbook_text import plan_text

    if context.current().output == "text":
        print(plan_text(plan), file=sys.stderr)


def told(run: Run) -> None:
    """Print a run, and exit with what it came to."""
    from cli.runbook_text import run_text

    emit(run, run_text)
    match run.state.value:
        case "succeeded" | "waiting" | "ready" | "running":
            return
        case "interrupted":
            raise typer.Exit(3)
        case _:
            raise typer.Exit(1)
