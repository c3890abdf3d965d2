"""`vitalops failover`: what failovers took and cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import context
from cli.examples import examples
from cli.output import emit
from cli.way_in import PairOption

if TYPE_CHECKING:
    from vitalops.ledger.book import Contents
    from vitalops.model.platform import FailoverPair, Platform

app = typer.Typer(help="What failovers took and cost, against what was promised.")


@app.command()
@examples(
    "vitalops failover report",
    "vitalops failover report region-failover-k3v9qd --html failover.html",
    "vitalops failover report --no-check --output json | jq .milestones",
)
def report(
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="The run; the latest where not given.")] = "",
    pair: PairOption = None,
    ledger: Annotated[
        str, typer.Option(metavar="NAME", help="Ledger that was written meanwhile; found where not given.")
    ] = "",
    loss_at: Annotated[
        float | None,
        typer.Option(
            metavar="EPOCH", help="When the region was lost, where that is known better, as in a drill."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Whether to read the ledger back from the platform.")
    ] = True,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page with the timeline, too.")
    ] = None,
) -> None:
    """Show how long a failover took, step by step, and whether any acknowledged write was lost by it.

    From the journal, what the witness observed, and the ledger that was written meanwhile, if any. Exits with 1 where
    the pair's rto_seconds or rpo_seconds were missed.
    """
    from cli.operations import journal
    from vitalops.ledger.drawing import page, text
    from vitalops.ledger.report import latest_run, report_of
    from vitalops.model.selection import resolve_pair

    platform = context.current().load_platform()
    chosen = resolve_pair(platform, pair)
    entries = tuple(journal(platform.name).entries())
    called = run or latest_run(entries, chosen.name)
    bare = report_of(chosen, entries, called, loss_at=loss_at)
    contents = _contents(platform, chosen, ledger, bare.loss_at)
    comparison = None
    if contents is not None and check:
        import asyncio

        from vitalops.consultation.access import access_to
        from vitalops.ledger.session import checked
        from vitalops.paths import Paths

        access = access_to(platform, chosen, Paths.from_environment())
        comparison = asyncio.run(checked(access, contents, platform.operations.clock_skew_seconds))
    found = report_of(chosen, entries, called, contents, comparison, loss_at)
    if html is not None:
        html.write_text(page(found), encoding="utf-8")
    emit(found, text)
    if not found.holds:
        raise typer.Exit(1)


def _contents(platform: Platform, pair: FailoverPair, name: str, loss: float) -> Contents | None:
    """The ledger that was named, or the one that was being written at the loss."""
    from vitalops.ledger.book import FOLDER, read
    from vitalops.paths import Paths

    folder = Paths.from_environment().operations(platform.name) / FOLDER
    if name:
        return read(folder, name)
    for file in sorted(folder.glob("*.jsonl"), key=lambda file: file.stat().st_mtime, reverse=True):
        if file.stat().st_mtime < loss:
            break
        found = read(folder, file.stem)
        if found.pair == pair.name and any(entry.sent <= loss for entry in found.entries):
            return found
    return None
