"""`vitalops ledger`: numbered writes, and whether everything that was acknowledged is still there."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import context
from cli.examples import examples
from cli.output import emit, paint, table
from cli.way_in import AuthorityOption, EdgeOption, PairOption

if TYPE_CHECKING:
    from vitalops.ledger.book import FileBook
    from vitalops.ledger.compare import Comparison
    from vitalops.ledger.session import Ledger
    from vitalops.model.platform import Platform

app = typer.Typer(help="Numbered synthetic writes, compared with what is found afterwards.")


@dataclass(frozen=True, slots=True)
class _Result:
    """What `--output json` prints."""

    ledger: str
    pair: str
    file: str
    holds: bool
    comparison: Comparison
    visits: int
    visits_passed: int


@app.command()
@examples(
    "vitalops ledger run --seconds 60",
    "vitalops ledger run --until-enter --name before-the-drill",
    "vitalops ledger run --seconds 30 --visitors 0 --output json | jq .comparison.acknowledged",
)
def run(
    pair: PairOption = None,
    edge: EdgeOption = None,
    ca: AuthorityOption = None,
    seconds: Annotated[float | None, typer.Option(min=1, max=86_400, help="How long to write.")] = None,
    until_enter: Annotated[
        bool, typer.Option("--until-enter", help="Write until a line, or the end, of standard input.")
    ] = False,
    name: Annotated[str, typer.Option(metavar="NAME", help="Of the ledger; made up where not given.")] = "",
    people: Annotated[int, typer.Option(min=1, max=20, help="Patients that are written about.")] = 2,
    visitors: Annotated[
        int, typer.Option(min=0, max=10, help="Synthetic consultations that go on beside it.")
    ] = 2,
    check_after: Annotated[
        bool, typer.Option("--check/--no-check", help="Whether to read everything back at the end.")
    ] = True,
) -> None:
    """Write numbered notes and prescriptions through the edge, then read all of them back and compare.

    Synthetic patients and practitioners, known by pseudonyms. What is not answered is repeated, with its own key.
    Exits with 1 where an acknowledged write is lost, doubled or out of order.
    """
    import asyncio

    from vitalops.consultation.access import access_to
    from vitalops.errors import UsageError
    from vitalops.ledger.book import FileBook
    from vitalops.ledger.session import Ledger
    from vitalops.model.selection import resolve_pair
    from vitalops.paths import Paths

    if (seconds is None) == (not until_enter):
        raise UsageError("say how long to write", hint="either --seconds N or --until-enter")
    platform = context.current().load_platform()
    chosen = resolve_pair(platform, pair)
    access = access_to(platform, chosen, Paths.from_environment(), edge=edge, ca_file=ca)
    called = name or _made_up()
    book = FileBook(_folder(platform), called, chosen.name)
    ledger = Ledger(called, access, people, visitors)
    asyncio.run(_write(ledger, book, seconds))
    if check_after:
        _check(platform, called, edge, ca)


@app.command()
@examples("vitalops ledger check", "vitalops ledger check before-the-drill --output json")
def check(
    name: Annotated[str, typer.Argument(help="Of the ledger; the latest where not given.")] = "",
    edge: EdgeOption = None,
    ca: AuthorityOption = None,
) -> None:
    """Read back what a ledger wrote. Exits with 1 where something acknowledged is not there, once, in order."""
    platform = context.current().load_platform()
    _check(platform, name, edge, ca)


@app.command("list")
@examples("vitalops ledger list")
def list_ledgers() -> None:
    """Show the ledgers of this machine, the latest last."""
    from vitalops.ledger.book import read

    folder = _folder(context.current().load_platform())
    names = [file.stem for file in sorted(folder.glob("*.jsonl"), key=lambda file: file.stat().st_mtime)]
    found = [read(folder, name) for name in names]
    rows = [
        {"ledger": each.name, "pair": each.pair, "writes": len(each.entries), "visits": len(each.visits)}
        for each in found
    ]
    emit(
        rows,
        lambda rows: table(("ledger", "pair", "writes", "visits"), [tuple(row.values()) for row in rows]),
    )


async def _write(ledger: Ledger, book: FileBook, seconds: float | None) -> None:
    import asyncio
    import contextlib
    import signal

    from cli.progress import progress

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    with progress(f"ledger {ledger.name}") as told:

        def begin() -> None:
            told.update(f"writing to {book.path}")
            if seconds is not None:
                loop.call_later(seconds, stop.set)
                return
            # Standard input may be a file or closed, which a reader of the loop cannot be.
            waiting = loop.run_in_executor(None, sys.stdin.readline)
            waiting.add_done_callback(lambda _: stop.set())

        with contextlib.suppress(asyncio.CancelledError):
            await ledger.run(book, stop, begin, told.update)


def _check(platform: Platform, name: str, edge: str | None, ca: Path | None) -> None:
    import asyncio

    from vitalops.consultation.access import access_to
    from vitalops.ledger.book import latest, ledger_file, read
    from vitalops.ledger.session import checked
    from vitalops.model.selection import resolve_pair
    from vitalops.paths import Paths

    folder = _folder(platform)
    contents = read(folder, name or latest(folder))
    pair = resolve_pair(platform, contents.pair)
    access = access_to(platform, pair, Paths.from_environment(), edge=edge, ca_file=ca)
    comparison = asyncio.run(checked(access, contents, platform.operations.clock_skew_seconds))
    passed = sum(visit.passed for visit in contents.visits)
    file = str(ledger_file(folder, contents.name))
    emit(
        _Result(contents.name, pair.name, file, comparison.holds, comparison, len(contents.visits), passed),
        _render,
    )
    if not comparison.holds:
        raise typer.Exit(1)


def _render(result: _Result) -> str:
    found = result.comparison
    verdict = paint("holds", "green") if found.holds else paint("does not hold", "red")
    rows = [
        (
            each.subject[:8],
            each.sent,
            each.acknowledged,
            each.found,
            each.lost,
            each.duplicated,
            each.out_of_order,
        )
        for each in found.subjects
    ]
    lines = [
        f"ledger {result.ledger} {verdict}: {found.summary}",
        table(("subject", "sent", "acknowledged", "found", "lost", "twice", "disorder"), rows),
    ]
    for what, writes in (("lost", found.lost), ("twice", found.duplicated), ("disorder", found.out_of_order)):
        lines += [f"  {what}: {each.kind} {each.number} of {each.subject[:8]}" for each in writes[:20]]
    if result.visits:
        lines.append(f"consultations beside it: {result.visits_passed} of {result.visits} passed")
    return "\n".join(lines)


def _folder(platform: Platform) -> Path:
    from vitalops.ledger.book import FOLDER
    from vitalops.paths import Paths

    return Paths.from_environment().operations(platform.name) / FOLDER


def _made_up() -> str:
    import secrets
    from datetime import UTC, datetime

    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
