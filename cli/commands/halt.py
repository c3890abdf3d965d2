"""`vitalops halt`: the one kill switch."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli import context
from cli.examples import examples
from cli.output import emit, paint
from vitalops.errors import UsageError

if TYPE_CHECKING:
    from vitalops.halt import Halt


@dataclass(frozen=True, slots=True)
class Standing:
    """What `--output json` prints: whether everything is halted after the command, by whom, since when, and why."""

    halted: bool
    actor: str = ""
    at: datetime | None = None
    reason: str = ""
    said: str = ""

    @staticmethod
    def of(halt: Halt | None, said: str = "") -> Standing:
        return (
            Standing(False, said=said)
            if halt is None
            else Standing(True, halt.actor, halt.at, halt.reason, said)
        )


@examples(
    "vitalops halt --reason 'the database is being looked at by hand'",
    "vitalops halt --status",
    "vitalops halt --lift --reason 'looked at; it is well'",
)
def halt(
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the journal.")] = "",
    lift: Annotated[bool, typer.Option("--lift", help="Let everything go on; needs a reason too.")] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Only say whether everything is halted, by whom and why.")
    ] = False,
) -> None:
    """Stop every operation of the platform: runbooks, drills, load tests, up and down.

    A step that is running ends; no further one begins. Nothing is undone. --status exits with 1 while halted.
    """
    from cli.operations import actor, journal
    from vitalops.halt import begin, halt_file, halted
    from vitalops.halt import lift as let_go
    from vitalops.paths import Paths
    from vitalops.ports.clock import SystemClock

    if lift and status:
        raise UsageError("--lift and --status are two different things", hint="give one of them")
    platform = context.current().load_platform().name
    paths = Paths.from_environment()
    if status:
        if reason:
            raise UsageError("--status takes no reason", hint="to halt: vitalops halt --reason TEXT")
        found = halted(paths, platform)
        emit(Standing.of(found, str(found) if found else "not halted"), _render)
        if found is not None:
            raise typer.Exit(1)
        return
    file, book = halt_file(paths, platform), journal(platform)
    if lift:
        was = let_go(file, book, actor(), reason)
        emit(Standing.of(None, "lifted: operations may go on" if was else "nothing was halted"), _render)
        return
    now, unrecorded = begin(file, book, SystemClock(), actor(), reason)
    if unrecorded:
        print(f"halted, and not recorded: {unrecorded}", file=sys.stderr)
    emit(Standing.of(now, str(now)), _render)


def _render(found: Standing) -> str:
    return paint(found.said, "red") if found.halted else found.said
