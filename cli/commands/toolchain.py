"""`vitalops toolchain`: the pinned programs that local regions are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.examples import examples
from cli.output import emit, table
from cli.progress import progress

if TYPE_CHECKING:
    from infra.local.toolchain.manager import GroupStatus

app = typer.Typer(help="Get the pinned tools that regions and images need.")


def _statuses(names: tuple[str, ...]) -> list[GroupStatus]:
    from infra.local.toolchain.manager import locate
    from vitalops.paths import Paths

    paths = Paths.from_environment()
    return [locate(name, paths) for name in names]


def _known(groups: list[str] | None) -> tuple[str, ...]:
    from infra.local.toolchain.spec import STAGES, specification
    from vitalops.errors import UsageError

    known = specification()
    if not groups:
        return known.of_stage(*STAGES)
    chosen: list[str] = []
    for name in groups:
        if name in STAGES:
            chosen.extend(known.of_stage(name))
        elif name in known.groups:
            chosen.append(name)
        else:
            raise UsageError(
                f"no tool group {name!r}",
                hint=f"groups: {', '.join(known.groups)}; or all of: {', '.join(STAGES)}",
            )
    return tuple(dict.fromkeys(chosen))


def _render(statuses: list[GroupStatus]) -> str:
    rows = [
        (
            status.name,
            status.version,
            status.source,
            status.folder or ", ".join(str(path) for path in status.tools.values()) or "-",
        )
        for status in statuses
    ]
    return table(("group", "version", "source", "where"), rows)


@app.command()
@examples(
    "vitalops toolchain ensure", "vitalops toolchain ensure regions", "vitalops toolchain ensure livekit"
)
def ensure(
    groups: Annotated[
        list[str] | None,
        typer.Argument(
            help="Groups, or `regions`, `media` or `telemetry` for all of a kind; all if none is named."
        ),
    ] = None,
) -> None:
    """Download or build every tool that is missing, those of the regions first. Safe to interrupt and to repeat."""
    from infra.local.toolchain import manager

    names = _known(groups)
    with progress() as steps:
        manager.ensure(names, steps)
    emit(_statuses(names), _render)


@app.command("list")
@examples("vitalops toolchain list", "vitalops toolchain list --output json")
def list_tools() -> None:
    """Show each group's version, where it came from and where it is."""
    emit(_statuses(_known(None)), _render)
