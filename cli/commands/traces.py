"""`vitalops traces`: what a request did, service by service."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cli import complete, context
from cli.examples import examples
from cli.output import emit, paint

if TYPE_CHECKING:
    from vitalops.observe.spans import Trace
    from vitalops.observe.traces import TraceQuery, TraceSource


@dataclass(frozen=True, slots=True)
class Listing:
    """The command's result without a trace id, as `--output json` prints it."""

    traces: tuple[Trace, ...]
    unreachable: Mapping[str, str]


@examples(
    "vitalops traces",
    "vitalops traces --service records --slow 500ms --since 1h",
    "vitalops traces --errors --region fr-par",
    "vitalops traces 4bf92f3577b34da6a3ce929d0e0e4736",
)
def traces(
    trace_id: Annotated[
        str | None,
        typer.Argument(metavar="[TRACE_ID]", help="One trace, as a tree; else a list of the newest."),
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option("--region", help="Only this region; may be repeated.", autocompletion=complete.regions),
    ] = None,
    service: Annotated[
        str,
        typer.Option(
            "--service", help="Only traces that this service took part in.", autocompletion=complete.services
        ),
    ] = "",
    slow: Annotated[
        str | None,
        typer.Option("--slow", metavar="SPAN", help="Only traces with a span of at least this: 500ms, 2s."),
    ] = None,
    errors: Annotated[bool, typer.Option("--errors", help="Only traces with a span that failed.")] = False,
    since: Annotated[
        str, typer.Option("--since", metavar="SPAN", help="How far back: 45s, 15m, 2h.")
    ] = "15m",
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="The newest so many.")] = 20,
) -> None:
    """Show the newest traces of all regions, or one trace as a tree. The stores keep the newest few thousand.

    Exits with 3 when a region does not answer; what the others hold is shown.
    """
    from cli.backends import trace_sources
    from vitalops.model.selection import resolve_regions
    from vitalops.observe.durations import parse_duration
    from vitalops.observe.spans import parse_trace_id
    from vitalops.observe.traces import TraceQuery

    platform = context.current().load_platform()
    sources = trace_sources(platform, resolve_regions(platform, region or []))
    if trace_id is not None:
        _emit_one(one(sources, parse_trace_id(trace_id)))
        return
    now = datetime.now(UTC)
    query = TraceQuery(
        start=now - parse_duration(since, "--since"),
        end=now + timedelta(minutes=1),
        service=service,
        at_least=parse_duration(slow, "--slow") if slow else None,
        errors=errors,
        limit=limit,
    )
    _emit_list(search(sources, query, tuple(platform.services)))


def one(sources: Mapping[str, Callable[[], TraceSource]], trace_id: str) -> tuple[Trace, ...]:
    """The trace as each region that has part of it keeps it. Raises UsageError where none has, and RemoteError where
    none of those that answered has and others did not answer."""
    from vitalops.errors import UsageError
    from vitalops.observe.gather import gather

    found = gather(sources, lambda source: source.trace(trace_id))
    kept = tuple(trace for trace in found.answers.values() if trace is not None)
    if not kept:
        for error in found.unreachable.values():
            raise error
        raise UsageError(
            f"no trace {trace_id} in {', '.join(sources)}",
            hint=f"only the newest are kept; its lines may still be there: vitalops logs --trace {trace_id}",
        )
    return kept


def search(
    sources: Mapping[str, Callable[[], TraceSource]], query: TraceQuery, services: tuple[str, ...]
) -> Listing:
    """The newest of all regions. Raises RemoteError where no region answers, and UsageError where nothing was found
    for a name that is no service and of which no region has any span."""
    from vitalops.errors import UsageError
    from vitalops.observe.gather import gather
    from vitalops.observe.traces import newest
    from vitalops.suggest import closest, shown

    found = gather(sources, lambda source: source.search(query))
    found.require_one()
    traces = newest((trace for each in found.answers.values() for trace in each), query.limit)
    if not traces and query.service and query.service not in services and not found.unreachable:
        seen = gather(sources, lambda source: source.services())
        known = sorted({*services, *(name for names in seen.answers.values() for name in names)})
        if query.service not in known:
            near = closest(query.service, known)
            raise UsageError(
                f"nothing called {shown(query.service)} has sent a span; known: {', '.join(known)}",
                hint=f"did you mean {near!r}?" if near else "",
            )
    return Listing(traces, {region: str(error) for region, error in found.unreachable.items()})


def _emit_one(found: tuple[Trace, ...]) -> None:
    from cli.trace_text import tree

    emit(found, lambda traces: "\n\n".join(map(tree, traces)))
    if context.current().output == "text":
        print(paint(f"\nlogs: vitalops logs --trace {found[0].id}", "dim"))


def _emit_list(found: Listing) -> None:
    from cli.trace_text import listing

    emit(found, lambda found: listing(found.traces) if found.traces else "")
    if context.current().output == "text":
        for problem in found.unreachable.values():
            print(f"{paint('error:', 'red', sys.stderr)} {problem}", file=sys.stderr)
        if not found.traces:
            print("no such traces", file=sys.stderr)
    if found.unreachable:
        raise typer.Exit(3)
