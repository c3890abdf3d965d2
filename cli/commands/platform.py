"""`vitalops up`, `preview`, `render`, `status` and `down`: the platform on its regions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli import complete, context
from cli.confirm import confirm
from cli.examples import examples
from cli.output import emit, paint, table
from cli.progress import progress

if TYPE_CHECKING:
    from infra.engines.diff import Change
    from infra.engines.protocol import Outcome
    from infra.operations.pairs import PairStatus
    from infra.operations.render import Rendered
    from infra.operations.setting import Setting
    from infra.operations.status import PlatformStatus
    from infra.operations.up import UpResult

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[REGION|PAIR]...",
        help="Regions, or pairs for both of theirs; those that start by default if none is named.",
        autocompletion=complete.regions_and_pairs,
    ),
]
EngineName = Annotated[
    Literal["auto", "embedded", "pulumi"],
    typer.Option(help="auto takes the Pulumi CLI where it is on PATH, the embedded engine otherwise."),
]


def _setting(names: list[str] | None, engine: str = "auto") -> Setting:
    from cli.setting import setting_of
    from vitalops.model.selection import resolve_regions
    from vitalops.paths import Paths

    platform = context.current().load_platform()
    regions = resolve_regions(platform, names or ())
    return setting_of(platform, Paths.from_environment(), regions, engine)


@examples(
    "vitalops up", "vitalops up france", "vitalops up fr-par --engine embedded", "vitalops up --output json"
)
def up(names: Names = None, engine: EngineName = "auto") -> None:
    """Bring the platform's regions and edge to what platform.yaml says.

    Local regions are started and the images built and loaded first. Safe to interrupt and to repeat: the next run goes
    on from what is there.
    """
    from infra.engines.rollout import RolloutFailed
    from infra.operations.up import up as bring_up
    from vitalops.halt import require_not_halted

    setting = _setting(names, engine)
    require_not_halted(setting.paths, setting.platform.name)
    try:
        with progress() as steps:
            result = bring_up(setting, steps)
    except RolloutFailed as error:
        if error.details:
            print(error.details, file=sys.stderr)
        raise
    emit(result, _render_up)


def _render_up(result: UpResult) -> str:
    lines = [f"{outcome.stack}: {_counts(outcome)} in {outcome.seconds:.1f} s" for outcome in result.stacks]
    for edge in result.edges:
        lines.append(f"{edge.pair}: {edge.url} -> {edge.active_region} (edge {edge.action})")
    lines.append(f"certificate authority: {result.authority}")
    lines.append(
        f"{paint('ready', 'green')} after {result.seconds:.1f} s ({result.engine} engine); try: vitalops verify"
    )
    return "\n".join(lines)


def _counts(outcome: Outcome) -> str:
    from infra.engines.diff import Action

    if not outcome.changes:
        return "done"
    words = ((Action.CREATE, "created"), (Action.UPDATE, "updated"), (Action.DELETE, "removed"))
    said = [f"{outcome.count(action)} {word}" for action, word in words if outcome.count(action)]
    return f"{', '.join(said) or 'nothing to do'}, {outcome.count(Action.UNCHANGED)} unchanged"


@examples("vitalops preview", "vitalops preview fr-gra", "vitalops preview --output json")
def preview(names: Names = None, engine: EngineName = "auto") -> None:
    """Show what `up` would change, field by field. Changes nothing."""
    from infra.operations.preview import preview as look

    emit(look(_setting(names, engine)), _render_preview)


def _render_preview(outcomes: tuple[Outcome, ...]) -> str:
    parts: list[str] = []
    for outcome in outcomes:
        parts.append(f"{paint(outcome.stack, 'bold')}: {_planned(outcome)}")
        parts += [_render_change(change) for change in outcome.changes if change.action != "unchanged"]
        if outcome.text:
            parts.append(outcome.text)
    return "\n".join(parts)


def _planned(outcome: Outcome) -> str:
    from infra.engines.diff import Action

    counts = [
        f"{outcome.count(action)} to {action}" for action in (Action.CREATE, Action.UPDATE, Action.DELETE)
    ]
    return f"{', '.join(counts)}, {outcome.count(Action.UNCHANGED)} unchanged" if outcome.changes else ""


def _render_change(change: Change) -> str:
    from infra.engines.diff import Action

    match change.action:
        case Action.CREATE:
            return paint(f"  + {change.key}", "green")
        case Action.DELETE:
            return paint(f"  - {change.key}", "red")
        case _:
            lines = [paint(f"  ~ {change.key}", "yellow")]
            for each in change.fields:
                old, new = ("(absent)" if value is None else value for value in (each.old, each.new))
                lines.append(f"      {each.path}: {_brief(old)} -> {_brief(new)}")
            return "\n".join(lines)


def _brief(value: str) -> str:
    line = value.replace("\n", "\\n")
    return line if len(line) <= 160 else f"{line[:157]}..."


@examples("vitalops render --out gitops", "vitalops render france --out gitops --output json")
def render(
    out: Annotated[Path, typer.Option("--out", help="Folder to write; an earlier render in it is replaced.")],
    names: Names = None,
) -> None:
    """Write the manifests of every region to a folder: one YAML file an object, Secrets without their values."""
    from infra.operations.render import render as write

    emit(write(_setting(names), out), _render_rendered)


def _render_rendered(rendered: Rendered) -> str:
    note = f"{len(rendered.placeholders)} Secrets hold placeholders: their values stay in the secret store"
    return f"{len(rendered.files)} files in {rendered.folder}\n{note}"


@examples("vitalops down", "vitalops down france --yes")
def down(names: Names = None, engine: EngineName = "auto") -> None:
    """Remove the platform from its regions, with its data. The regions, images and secrets stay."""
    from infra.operations.down import down as take_down
    from vitalops.halt import require_not_halted

    setting = _setting(names, engine)
    require_not_halted(setting.paths, setting.platform.name)
    confirm(f"Remove the platform and all its data from {', '.join(setting.regions)}?")
    with progress() as steps:
        outcomes = take_down(setting, steps)
    emit(outcomes, lambda done: "\n".join(f"{each.stack}: {_counts(each)}" for each in done))


@examples("vitalops status", "vitalops status --output json | jq .healthy")
def status(names: Names = None) -> None:
    """Show what runs in each region, the database's roles and lag, and where the edge leads.

    Exits with 1 when anything is not as it should be.
    """
    from infra.operations.status import status as ask

    found = ask(_setting(names))
    emit(found, _render_status)
    if not found.healthy:
        raise typer.Exit(1)


def _render_status(found: PlatformStatus) -> str:
    parts: list[str] = []
    for region in found.regions:
        word = paint("ready", "green") if region.ready else paint("degraded", "red")
        parts.append(f"{region.name}  {word}{f'  {region.problem}' if region.problem else ''}")
        rows = [
            (
                each.kind,
                f"{each.namespace}/{each.name}",
                "ready" if each.ready else each.detail or "not ready",
            )
            for each in region.workloads
        ]
        if rows:
            parts.append(_indented(table(("kind", "name", "state"), rows)))
        members = [
            (each.name, each.role, each.state, "-" if each.lag_bytes is None else f"{each.lag_bytes} B")
            for each in region.database
        ]
        if members:
            parts.append(_indented(table(("database", "role", "state", "lag"), members)))
    for pair in found.pairs:
        parts.append(_pair_text(pair))
    for edge in found.edges:
        words = {True: paint("answers", "green"), False: paint("down", "red"), None: "not of this machine"}
        problem = f"  {edge.problem}" if edge.problem else ""
        parts.append(f"edge {edge.pair}  {words[edge.answers]}  {edge.url} -> {edge.active_region}{problem}")
    return "\n".join(parts)


def _pair_text(pair: PairStatus) -> str:
    from infra.operations.pairs import replication_word

    word = paint("agrees", "green") if not pair.problem else paint("finding", "red")
    lag = "-" if pair.lag_bytes is None else f"{pair.lag_bytes} B"
    if pair.lag_seconds is not None:
        lag += f", {pair.lag_seconds:.3f} s"
    head = f"pair {pair.pair}  {word}  active {pair.active or 'unknown'}  {replication_word(pair)}  lag {lag}"
    rows = [
        (
            each.region,
            each.role or "not reached",
            "takes writes" if each.writable else "fenced" if each.fenced else "takes none",
            each.active or "-",
            "-" if each.token is None else str(each.token),
        )
        for each in pair.standings
    ]
    text = _indented(table(("region", "database", "writes", "knows as active", "token"), rows))
    return f"{head}\n{text}" + (f"\n  {pair.problem}" if pair.problem else "")


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
