"""`vitalops logs`: log lines of every region, merged by time."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from cli import complete, context
from cli.examples import examples
from cli.output import emit, jsonable, paint

if TYPE_CHECKING:
    from vitalops.model.platform import Platform
    from vitalops.observe.gather import Gathered
    from vitalops.observe.logs import Follower, LogLine, LogQuery, LogSource
    from vitalops.ports.clock import Clock

Grave = Literal["debug", "info", "warning", "error", "critical"]
_POLL_SECONDS: Final = 1.0
_INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Found:
    """The command's result, as `--output json` prints it."""

    lines: tuple[LogLine, ...]
    more: bool
    """Whether older lines that fit were left out."""
    unreachable: Mapping[str, str]


@examples(
    "vitalops logs --since 5m",
    "vitalops logs records consultation --level warning",
    "vitalops logs --trace 4bf92f3577b34da6a3ce929d0e0e4736",
    "vitalops logs gateway --region fr-par --grep '\"status\":503' --follow",
    "vitalops logs --output json | jq '.lines[] | select(.fields.ms > 500)'",
)
def logs(
    service: Annotated[
        list[str] | None,
        typer.Argument(
            help="Only these: services, gateway, livekit, postgres, prometheus ...",
            autocompletion=complete.services,
        ),
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option("--region", help="Only this region; may be repeated.", autocompletion=complete.regions),
    ] = None,
    trace: Annotated[
        str | None, typer.Option("--trace", metavar="ID", help="Only lines of this trace, however old.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="SPAN", help="How far back: 45s, 15m, 2h, 7d. 15m if not given."),
    ] = None,
    level: Annotated[Grave | None, typer.Option("--level", help="Only lines this grave or graver.")] = None,
    grep: Annotated[
        str, typer.Option("--grep", metavar="TEXT", help="Only lines that contain this, letter by letter.")
    ] = "",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until interrupted.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=5000, help="The newest so many lines of all that fit.")
    ] = 200,
) -> None:
    """Show log lines of all regions, oldest first, times in UTC.

    Exits with 3 when a region does not answer; what the others hold is shown. With --follow --output json, one line is
    one JSON document.
    """
    from cli.backends import log_sources
    from vitalops.model.selection import resolve_regions
    from vitalops.ports.clock import SystemClock

    platform = context.current().load_platform()
    names = resolve_regions(platform, region or [])
    query = _query(platform, datetime.now(UTC), service or (), trace, since, level, grep, limit)
    sources = log_sources(platform, names)
    if follow:
        tail(sources, query, SystemClock())
        return
    show(search(sources, query, tuple(platform.services)), query)


def _query(
    platform: Platform,
    now: datetime,
    services: Sequence[str],
    trace: str | None,
    since: str | None,
    level: str | None,
    grep: str,
    limit: int,
) -> LogQuery:
    from vitalops.observe.durations import parse_duration
    from vitalops.observe.logs import Level, LogQuery
    from vitalops.observe.spans import parse_trace_id

    kept = timedelta(days=platform.telemetry.log_retention_days)
    if since is not None:
        span = min(parse_duration(since, "--since"), kept)
    else:
        span = kept if trace else timedelta(minutes=15)
    return LogQuery(
        start=now - span,
        # What was printed while this command starts is meant too.
        end=now + timedelta(minutes=1),
        services=tuple(dict.fromkeys(services)),
        trace_id=parse_trace_id(trace) if trace is not None else "",
        level=Level[level.upper()] if level else None,
        text=grep,
        limit=limit,
    )


def search(sources: Mapping[str, Callable[[], LogSource]], query: LogQuery, services: Sequence[str]) -> Found:
    """Every region's lines, merged. Raises RemoteError where no region answers, and UsageError where nothing was found
    for a name that is no service and under which no region has any line."""
    from vitalops.observe.gather import gather
    from vitalops.observe.logs import in_order, newest

    found = gather(sources, lambda source: source.search(query))
    found.require_one()
    merged = in_order(line for lines in found.answers.values() for line in lines)
    if not merged and not found.unreachable:
        _require_known(sources, query, services)
    full = any(len(lines) >= query.limit for lines in found.answers.values())
    return Found(newest(merged, query.limit), full or len(merged) > query.limit, _told(found))


def _told(found: Gathered[Any]) -> dict[str, str]:
    return {region: str(error) for region, error in found.unreachable.items()}


def _require_known(
    sources: Mapping[str, Callable[[], LogSource]], query: LogQuery, services: Sequence[str]
) -> None:
    from vitalops.errors import UsageError
    from vitalops.observe.gather import gather
    from vitalops.suggest import closest, shown

    strange = [name for name in query.services if name not in services]
    if not strange:
        return
    found = gather(sources, lambda source: source.services(query.start, query.end))
    known = sorted({*services, *(name for names in found.answers.values() for name in names)})
    for name in strange:
        if name not in known:
            near = closest(name, known)
            raise UsageError(
                f"nothing called {shown(name)} has printed anything; known: {', '.join(known)}",
                hint=f"did you mean {near!r}?" if near else "",
            )


def show(found: Found, query: LogQuery) -> None:
    """Print the result; exits with 3 when a region is missing from it."""
    from cli.log_text import one_line

    def render(found: Found) -> str:
        dated = len({line.time.date() for line in found.lines}) > 1
        return "\n".join(one_line(line, dated=dated, trace=not query.trace_id) for line in found.lines)

    emit(found, render)
    if context.current().output == "text":
        for problem in found.unreachable.values():
            print(f"{paint('error:', 'red', sys.stderr)} {problem}", file=sys.stderr)
        if found.more:
            print(
                f"the newest {len(found.lines)} of more: raise --limit, or narrow the question",
                file=sys.stderr,
            )
        if not found.lines:
            print("no such lines" if found.unreachable else "no such lines in any region", file=sys.stderr)
    if found.unreachable:
        raise typer.Exit(3)


def tail(
    sources: Mapping[str, Callable[[], LogSource]], query: LogQuery, clock: Clock, *, rounds: int = -1
) -> None:
    """Print what there is and then what comes, for `rounds` rounds (for ever if negative).

    A region that stops answering is named once, and asked again until it answers.
    """
    from vitalops.observe.gather import gather
    from vitalops.observe.logs import Follower, in_order, newest

    followers: dict[str, Follower] = {}

    def connected(region: str, connect: Callable[[], LogSource]) -> Callable[[], Follower]:
        def make() -> Follower:
            if region not in followers:
                followers[region] = Follower(connect(), query)
            return followers[region]

        return make

    ways = {region: connected(region, connect) for region, connect in sources.items()}
    silent: set[str] = set()
    first = True
    try:
        while rounds != 0:
            now = clock.now()
            found = gather(ways, partial(_new_lines, now))
            if first:
                found.require_one()
            lines: Sequence[LogLine] = in_order(line for new in found.answers.values() for line in new)
            for line in newest(lines, query.limit) if first else lines:
                _print(line, query)
            for region, error in found.unreachable.items():
                if region not in silent:
                    print(f"{paint('error:', 'red', sys.stderr)} {error}; asking again", file=sys.stderr)
            silent = set(found.unreachable)
            first = False
            rounds -= 1
            clock.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None


def _new_lines(now: datetime, follower: Follower) -> list[LogLine]:
    return list(follower.poll(now))


def _print(line: LogLine, query: LogQuery) -> None:
    from cli.log_text import one_line

    if context.current().output == "json":
        text = json.dumps(jsonable(line), ensure_ascii=False)
    else:
        text = one_line(line, dated=False, trace=not query.trace_id)
    print(text, flush=True)
