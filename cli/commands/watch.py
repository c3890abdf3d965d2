"""`vitalops watch`: regions, budgets, alerts and changes on one screen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cli import complete, context
from cli.examples import examples
from cli.output import emit

if TYPE_CHECKING:
    from cli.watch.terminal import Terminal
    from vitalops.watch.snapshot import Snapshot

_TICK_SECONDS = 1.0
_ONCE_PATIENCE = timedelta(seconds=20)


@examples(
    "vitalops watch",
    "vitalops watch --region fr-par --interval 2",
    "vitalops watch --once",
    "vitalops watch --once --output json | jq '.regions[].state.problem'",
)
def watch(
    region: Annotated[
        list[str] | None,
        typer.Option("--region", help="Only this region; may be repeated.", autocompletion=complete.regions),
    ] = None,
    pair: Annotated[
        str | None, typer.Option("--pair", help="Only this pair.", autocompletion=complete.pairs)
    ] = None,
    interval: Annotated[
        float, typer.Option("--interval", min=1, max=600, help="Seconds between two questions to a region.")
    ] = 5.0,
    once: Annotated[
        bool,
        typer.Option("--once", help="Print one frame and exit, in a pipe too; with 3 if it is incomplete."),
    ] = False,
    prometheus: Annotated[
        list[str] | None,
        typer.Option(
            "--prometheus",
            metavar="[REGION=]URL",
            help="Ask this Prometheus instead of the regions' own; may be repeated.",
        ),
    ] = None,
) -> None:
    """Watch regions, error budgets, firing alerts and changes that go on. Only reads.

    Each region is asked in the background: one that does not answer is shown with the time since when, and the rest
    goes on. Keys: q quit, p pause, tab or 1-9 one region, ? help.
    """
    from cli.scopes import scopes_of
    from cli.watch.polls import polls
    from vitalops.errors import UsageError
    from vitalops.ports.clock import SystemClock
    from vitalops.watch.gather import Gatherer

    called = context.current()
    if called.output == "json" and not once:
        raise UsageError("a screen has no JSON form", hint="add --once")
    platform = called.load_platform()
    asked = polls(
        platform, scopes_of(platform, region, pair, None), prometheus or (), interval, SystemClock()
    )
    if once:
        Gatherer(asked.all).once(_ONCE_PATIENCE)
        snapshot = asked.snapshot()
        emit(snapshot, _render)
        if not snapshot.complete:
            raise typer.Exit(3)
        return
    from cli.watch.terminal import terminal

    with terminal() as screen, Gatherer(asked.all):
        _show(screen, asked.snapshot)
    if screen.ended_by is not None and screen.ended_by.name != "SIGINT":
        raise typer.Exit(128 + screen.ended_by)


def _render(snapshot: Snapshot) -> str:
    import sys

    from rich.console import Console

    from cli.output import colours
    from cli.slo_table import width_of_output
    from cli.watch.frame import View, frame

    lines = frame(snapshot, View(), width_of_output())
    plain = not colours(sys.stdout)
    console = Console(
        file=sys.stdout, highlight=False, markup=False, no_color=plain, force_terminal=not plain
    )
    with console.capture() as captured:
        for line in lines:
            console.print(line, soft_wrap=True)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _show(screen: Terminal, take: Callable[[], Snapshot]) -> None:
    from cli.watch.frame import View, frame
    from cli.watch.keys import pressed

    view, snapshot = View(), take()
    names = [region.name for region in snapshot.regions]
    while screen.ended_by is None:
        if not view.paused:
            snapshot = take()
        screen.show(frame(snapshot, view, *screen.size))
        for key in screen.keys(_TICK_SECONDS):
            after = pressed(view, key, names)
            if after is None:
                return
            view = after
