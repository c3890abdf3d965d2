"""`vitalops evidence`: what operations did, and whether their journal is as it was written."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import context
from cli.examples import examples
from cli.output import Colour, emit, jsonable, paint
from cli.progress import progress
from vitalops.errors import UsageError
from vitalops.evidence.record import Entry, RecordKind

if TYPE_CHECKING:
    from vitalops.evidence.chain import Anchor, Fault
    from vitalops.evidence.files import FileJournal

app = typer.Typer(help="The journal of operations: show it, and verify that nobody changed it.")

_POLL_SECONDS: Final = 0.5
_SPEAK_EVERY: Final = 5000
_BIG_BYTES: Final = 4 * 1024 * 1024
"""From here on verifying says how far it is."""


@app.command()
@examples(
    "vitalops evidence show --since 24h",
    "vitalops evidence show --operation backup-now-k3v9qd",
    "vitalops evidence show --kind approved --kind rejected --output json",
    "vitalops evidence show --head",
)
def show(
    operation: Annotated[
        str, typer.Option("--operation", metavar="ID", help="Only this run, drill, incident or `halt`.")
    ] = "",
    since: Annotated[
        str,
        typer.Option("--since", metavar="SPAN|TIME", help="45s, 2h, 7d, or a time as 2026-12-01T22:00:00Z."),
    ] = "",
    kind: Annotated[
        list[RecordKind] | None, typer.Option("--kind", help="Only these; may be repeated.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until interrupted.")
    ] = False,
    head: Annotated[
        bool,
        typer.Option(
            "--head", help="Only number and digest of the last entry, to be kept elsewhere for `verify`."
        ),
    ] = False,
) -> None:
    """Show what operations did, oldest first: who, what, when, why, and what came of it. Times in UTC.

    With --follow --output json, one line is one JSON document.
    """
    journal = _journal()
    if head:
        _show_head(journal)
        return
    wanted = _Wanted(operation, _moment(since) if since else None, frozenset(kind or ()))
    if follow:
        _tail(journal, wanted)
        return
    emit(tuple(filter(wanted.takes, journal.entries())), _render)


@app.command()
@examples(
    "vitalops evidence verify",
    'vitalops evidence verify --anchor "$(cat kept-elsewhere)"',
    "vitalops evidence verify --output json | jq '.faults[]'",
)
def verify(
    anchor: Annotated[
        list[str] | None,
        typer.Option(
            "--anchor",
            metavar="NUMBER:DIGEST",
            help="What `evidence show --head` said once, kept where nobody here could change it; may be repeated.",
        ),
    ] = None,
) -> None:
    """Check that no entry of the journal was changed, taken out, moved or cut off. Exits with 1 for any fault.

    Whoever may write the journal could write all of it anew: only an anchor kept elsewhere tells.
    """
    journal = _journal()
    anchors = [_anchor(text) for text in anchor or ()]
    began = time.monotonic()
    count, faults = _verified(journal, anchors)
    emit(Verified(str(journal.path), count, time.monotonic() - began, tuple(faults)), _render_verified)
    if faults:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class Verified:
    """What `verify --output json` prints."""

    journal: str
    entries: int
    seconds: float
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class _Wanted:
    operation: str
    since: datetime | None
    kinds: frozenset[RecordKind]

    def takes(self, entry: Entry) -> bool:
        return (
            (not self.operation or entry.record.operation == self.operation)
            and (self.since is None or entry.at >= self.since)
            and (not self.kinds or entry.record.kind in self.kinds)
        )


def _journal() -> FileJournal:
    from cli.operations import journal

    return journal(context.current().load_platform().name)


def _moment(text: str) -> datetime:
    from vitalops.observe.durations import parse_duration

    if "T" in text or text.count("-") == 2:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise UsageError(
                f"--since {text[:40]!r} is no time", hint="give one such as 2026-12-01T22:00:00Z"
            ) from None
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return datetime.now(UTC) - parse_duration(text, "--since")


def _anchor(text: str) -> Anchor:
    from vitalops.evidence.chain import Anchor

    try:
        return Anchor.parse(text)
    except ValueError:
        raise UsageError(
            f"--anchor {text[:80]!r} is none", hint="it is what `vitalops evidence show --head` printed"
        ) from None


def _show_head(journal: FileJournal) -> None:
    from vitalops.evidence.chain import START

    emit(journal.head() or START, str)


def _verified(journal: FileJournal, anchors: Iterable[Anchor]) -> tuple[int, list[Fault]]:
    if journal.size() < _BIG_BYTES:
        return journal.verify(anchors)
    with progress("verifying") as said:

        def each(count: int) -> None:
            if count % _SPEAK_EVERY == 0:
                said.update(f"{count} entries")

        return journal.verify(anchors, each)


def _tail(journal: FileJournal, wanted: _Wanted) -> None:
    as_json = context.current().output == "json"
    for entry in _endless(journal):
        if wanted.takes(entry):
            print(json.dumps(jsonable(entry), ensure_ascii=False) if as_json else _line(entry), flush=True)


def _endless(journal: FileJournal) -> Iterator[Entry]:
    seen = 0
    while True:
        for entry in journal.entries():
            if entry.number > seen:
                seen = entry.number
                yield entry
        size = journal.size()
        while journal.size() == size:
            time.sleep(_POLL_SECONDS)


def _render(entries: tuple[Entry, ...]) -> str:
    if not entries:
        print("nothing in the journal that fits", file=sys.stderr)
    return "\n".join(map(_line, entries))


def _line(entry: Entry) -> str:
    record = entry.record
    colours: dict[RecordKind, Colour] = {
        RecordKind.REFUSED: "red",
        RecordKind.HALTED: "red",
        RecordKind.UNDONE: "yellow",
        RecordKind.WAITING: "yellow",
        RecordKind.FINISHED: "green",
    }
    word = paint(record.kind.value, colours.get(record.kind, "bold"))
    head = f"{entry.at:%Y-%m-%d %H:%M:%S} {word} {record.operation}"
    if record.kind is RecordKind.STEP:
        # Who, why and on what are said where the operation begins.
        return f"{head}: {_step(record.data)}"
    what = [record.name if record.name != record.operation else "", record.target, f"by {record.actor}"]
    parts = [" ".join(part for part in what if part)]
    if record.reason:
        parts.append(_plain(record.reason))
    if record.data:
        parts.append(" ".join(f"{key}={_value(value)}" for key, value in record.data.items()))
    return f"{head}: {'; '.join(parts)}"


def _step(data: Mapping[str, Any]) -> str:
    """`fence applied in 0.98 s: proof=synchronous`: what is empty is left out."""
    told = {
        key: value for key, value in data.items() if value not in ("", None) and value != {} and value != []
    }
    name, what = told.pop("step", "?"), told.pop("what", "")
    seconds, detail, output = told.pop("seconds", None), told.pop("detail", ""), told.pop("output", {})
    told.pop("turn", None)
    took = f" in {seconds:.2f} s" if isinstance(seconds, float) else ""
    rest = [str(detail)] if detail else []
    rest += [f"{what}: {before} -> {after}" for what, before, after in told.pop("changes", [])]
    rest += [f"{key}={_value(value)}" for key, value in {**output, **told}.items()]
    return _plain(f"{name} {what}{took}" + (f": {'; '.join(rest)}" if rest else ""))


def _value(value: object) -> str:
    return _plain(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain(text: str) -> str:
    # A reason may hold anything: what a terminal would act on is not shown.
    return "".join(each if each.isprintable() else "\ufffd" for each in " ".join(text.split()))


def _render_verified(found: Verified) -> str:
    if found.faults:
        return "\n".join(paint(str(fault), "red") for fault in found.faults)
    return f"{found.entries} entries, each as it was written ({found.seconds:.1f} s)"
