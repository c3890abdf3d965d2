"""`vitalops runbook`: what can be done, doing it, and what was done."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from cli.examples import examples
from cli.lazy import CommandEntry, LazyCommand
from cli.output import emit, paint, table
from cli.progress import progress
from cli.runbook_run import RunGroup, open_engine, told
from vitalops.errors import UsageError

if TYPE_CHECKING:
    from runbooks.engine.engine import Engine
    from runbooks.engine.runs import Run


class RunbookGroup(TyperGroup):
    """Adds what another module serves."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        serve = CommandEntry(
            "serve",
            "cli.commands.runbook_serve",
            "serve",
            "Receive alerts, act on them, show the on-call page.",
        )
        self.add_command(LazyCommand(serve))


app = typer.Typer(cls=RunbookGroup, help="Runbooks: list, show, run, resume, approve; and what was done.")


def names(incomplete: str) -> list[str]:
    """Names of runbooks, for completion."""
    from runbooks import registry

    return [name for name in registry.names() if name.startswith(incomplete)]


def open_runs(incomplete: str) -> list[str]:
    """Runs that are not over, for completion."""
    try:
        with open_engine() as engine:
            return [run.id for run in engine.runs(open_only=True) if run.id.startswith(incomplete)]
    except Exception:
        # A completion that cannot be made is none: the command itself will say what is wrong.
        return []


Actor = Annotated[
    str, typer.Option("--as", metavar="NAME", help="Who does it; else VITALOPS_ACTOR, else the login name.")
]
RunId = Annotated[str, typer.Argument(metavar="RUN", autocompletion=open_runs)]
Name = Annotated[str, typer.Argument(metavar="NAME", autocompletion=names)]


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of `vitalops runbook list`. Times to repair are in seconds."""

    name: str
    summary: str
    risk: str
    alerts: tuple[str, ...]
    proven: datetime | None
    proven_by: str
    repair_seconds: float | None
    stale: bool


@app.command("list")
@examples(
    "vitalops runbook list",
    "vitalops runbook list --check",
    "vitalops runbook list --output json | jq '.[] | select(.stale).name'",
)
def list_runbooks(
    check: Annotated[
        bool,
        typer.Option("--check", help="Exit with 1 where a runbook is not proven, or not recently enough."),
    ] = False,
) -> None:
    """List every runbook, and when it was last proven.

    With it: its risk, the alerts it answers, and how long the repair took in its last rehearsal. A runbook that no
    rehearsal proved within operations.rehearsal_max_age_days is stale: marked, and a finding.
    """
    from cli import context
    from cli.operations import journal
    from runbooks import registry
    from runbooks.engine.rehearsals import proofs

    platform = context.current().load_platform()
    proven = proofs(journal(platform.name).lines())
    now, oldest = datetime.now(UTC), platform.operations.rehearsal_max_age_days
    listed: list[Listed] = []
    for runbook in registry.runbooks():
        proof = proven.get(runbook.name)
        listed.append(
            Listed(
                runbook.name,
                runbook.summary,
                runbook.risk.value,
                tuple(dict.fromkeys(each.alert for each in runbook.answers)),
                proof.at if proof else None,
                proof.run if proof else "",
                proof.seconds if proof else None,
                proof is None or proof.stale(now, oldest),
            )
        )
    emit(listed, _render_list)
    stale = [each.name for each in listed if each.stale]
    if stale:
        word = "runbook is" if len(stale) == 1 else "runbooks are"
        said = f"{len(stale)} {word} not proven within {oldest} days"
        print(paint(said, "yellow", sys.stderr), file=sys.stderr)
        if check:
            raise typer.Exit(1)


def _render_list(listed: list[Listed]) -> str:
    from cli.runbook_text import span

    if not listed:
        return "no runbooks"
    rows = [
        (
            each.name,
            each.risk,
            each.summary,
            ", ".join(each.alerts),
            ("STALE " if each.stale else "") + (f"{each.proven:%Y-%m-%d}" if each.proven else "never"),
            span(each.repair_seconds) if each.repair_seconds is not None else "",
        )
        for each in listed
    ]
    return table(("runbook", "risk", "what is better afterwards", "answers", "proven", "repaired in"), rows)


@app.command()
@examples("vitalops runbook show backup-now", "vitalops runbook show region-failover --output json")
def show(name: Name) -> None:
    """Show one runbook, and its last runs."""
    from runbooks import registry
    from runbooks.engine.pages import page
    from runbooks.engine.parameters import parameters_of

    runbook = registry.runbook(name)
    with open_engine() as engine:
        runs = engine.runs(runbook=name, limit=5)
    shown = {
        "name": runbook.name,
        "summary": runbook.summary,
        "risk": runbook.risk,
        "unattended": runbook.unattended,
        "undoes_on_failure": runbook.undoes_on_failure,
        "parameters": parameters_of(runbook.parameters),
        "steps": [
            {
                "name": step.name,
                "summary": step.summary,
                "limit_seconds": step.limit_seconds,
                "reads_only": step.reads_only,
                "undone": step.undo is not None,
                "lasting": step.lasting,
            }
            for step in runbook.steps
        ],
        "answers": [{"alert": each.alert, "starts": each.starts} for each in runbook.answers],
        "protects": runbook.protects,
        "example": runbook.example,
        "rehearsal": runbook.rehearsal,
        "runs": runs,
    }

    def render(_: object) -> str:
        from cli.runbook_text import history_text

        lines = [line for line in page(runbook).splitlines() if not line.startswith("<!--")]
        return "\n".join([*lines, "## Last runs", "", history_text(runs)]).strip()

    emit(shown, render)


run_app = typer.Typer(
    cls=RunGroup,
    epilog="Examples:\n"
    "  vitalops runbook run backup-now --pair france --dry-run\n"
    "  vitalops runbook run region-failover --to fr-gra --planned",
    help=(
        "Run a runbook: the plan first, then the steps.\n\n"
        "What changes something asks, unless --yes. What disrupts waits for approval by somebody else: the command then"
        " prints the run's id and exits with 0. Exits with 1 where the run failed or was refused by a check, with 3"
        " where it was interrupted or something was not reached."
    ),
)
app.add_typer(run_app, name="run")


@app.command()
@examples("vitalops runbook resume", "vitalops runbook resume backup-now-k3v9qd")
def resume(
    run: Annotated[
        str, typer.Argument(metavar="[RUN]", help="The only one where not given.", autocompletion=open_runs)
    ] = "",
    actor: Actor = "",
) -> None:
    """Go on with a run that was interrupted or approved.

    Every step is checked again first: what was done is not done again.
    """
    from cli.operations import actor as whoever

    with open_engine() as engine:
        chosen = run or _only(engine)
        with progress() as steps:
            found = engine.resume(chosen, actor=actor or whoever(), progress=steps)
        told(found)


def _only(engine: Engine) -> str:
    """The only run that can be resumed. Raises UsageError where there is none, or more than one."""
    found = [run for run in engine.runs(open_only=True) if run.state.value in ("ready", "interrupted")]
    if len(found) == 1:
        return found[0].id
    if not found:
        raise UsageError("there is no run to resume", hint="see: vitalops runbook history")
    raise UsageError(
        f"{len(found)} runs can be resumed", hint=f"one of: {', '.join(run.id for run in found)}"
    )


@app.command()
@examples(
    "vitalops runbook approve region-failover-k3v9qd",
    "vitalops runbook approve region-failover-k3v9qd --as grace --reason 'agreed on the bridge'",
    "vitalops runbook approve region-failover-k3v9qd --only",
)
def approve(
    run: RunId,
    actor: Actor = "",
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the journal.")] = "",
    only: Annotated[
        bool, typer.Option("--only", help="Approve and leave it to somebody else to carry it out.")
    ] = False,
) -> None:
    """Agree to a run that waits, and carry it out.

    Here, unless a process waits for it elsewhere (`run --wait`). Not for the one who asked. An approval that was not
    given in time (operations.approval_expires_minutes) cannot be.
    """
    from cli.operations import actor as whoever

    name = actor or whoever()
    with open_engine() as engine:
        found = engine.approve(run, actor=name, reason=reason)
        if not only:
            with progress() as steps:
                found = engine.follow(run, actor=name, progress=steps)
        told(found)


@app.command()
@examples("vitalops runbook reject region-failover-k3v9qd --reason 'the region is back'")
def reject(
    run: RunId,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the journal.")],
    actor: Actor = "",
) -> None:
    """Refuse a run that waits, or undo one that was interrupted.

    What an interrupted run did is undone where its runbook undoes. Exits with 0 when it is refused or undone.
    """
    from cli.operations import actor as whoever
    from cli.runbook_text import run_text

    with open_engine() as engine:
        with progress() as steps:
            found = engine.reject(run, actor=actor or whoever(), reason=reason, progress=steps)
        emit(found, run_text)
    if found.state.value not in ("rejected", "failed-undone"):
        raise typer.Exit(1)


@app.command()
@examples(
    "vitalops runbook history",
    "vitalops runbook history --runbook backup-now --limit 5",
    "vitalops runbook history --open --output json | jq '.[].id'",
)
def history(
    runbook: Annotated[
        str, typer.Option("--runbook", metavar="NAME", help="Only its runs.", autocompletion=names)
    ] = "",
    only_open: Annotated[bool, typer.Option("--open", help="Only runs that are not over.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=10_000, help="At most so many, latest first.")
    ] = 20,
) -> None:
    """Show what was asked for, and what came of it.

    The journal says more: vitalops evidence show.
    """
    from cli.runbook_text import history_text
    from runbooks import registry

    if runbook:
        registry.runbook(runbook)
    with open_engine() as engine:
        found: tuple[Run, ...] = engine.runs(runbook=runbook, open_only=only_open, limit=limit)
    emit(found, history_text)


@app.command()
@examples("vitalops runbook rehearsed backup-now --seconds 12.5 --operation backup-now-k3v9qd")
def rehearsed(
    name: Name,
    seconds: Annotated[float, typer.Option("--seconds", help="Time to repair, as it was measured.")],
    operation: Annotated[str, typer.Option("--operation", metavar="RUN", help="The run that proved it.")],
    actor: Actor = "",
) -> None:
    """Record that a rehearsal proved a runbook.

    Only of a run that succeeded. `vitalops runbook list` shows the latest.
    """
    from cli import context
    from cli.operations import actor as whoever
    from cli.operations import journal
    from runbooks import registry
    from runbooks.engine.rehearsals import rehearsal

    registry.runbook(name)
    with open_engine() as engine:
        run = engine.run(operation)
    record = rehearsal(name, run, seconds, actor or whoever())
    journal(context.current().load_platform().name).append(record)
    emit({"runbook": name, "run": run.id, "seconds": seconds}, lambda _: f"{name}: proven by {run.id}")


@app.command()
@examples("vitalops runbook docs --out docs/runbooks", "vitalops runbook docs --out docs/runbooks --check")
def docs(
    out: Annotated[Path, typer.Option("--out", help="Folder to write; it holds nothing but these pages.")],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 where a page is not as it should be.")
    ] = False,
) -> None:
    """Write a page for each runbook, and an index."""
    from runbooks import registry
    from runbooks.engine.pages import differing, pages, write

    wanted = pages(registry.runbooks())
    changed = differing(out, wanted) if check else write(out, wanted)
    said = "differs" if check else "written"
    emit(
        {"changed": changed},
        lambda _: "\n".join(f"{out / name}: {said}" for name in changed) or "all current",
    )
    if check and changed:
        raise typer.Exit(1)
