"""One region from its gateway down to its disks."""

from __future__ import annotations

from dashboards import names
from dashboards.kit import (
    IN_REGION,
    OF_TRAFFIC,
    REGION,
    SLOW_RATE,
    TRAFFIC,
    quantile,
    rate,
    series,
    share,
    total,
)
from dashboards.model import Colour, Dashboard, Look, Panel, Query, Section, State, Unit
from dashboards.objectives import counted_by, limits_of
from dashboards.queries import CONNECTIONS_IN_USE, MEDIA_TRAFFIC, ROOMS_AND_PARTICIPANTS
from dashboards.telemetry import telemetry_section
from vitalops import conventions as c
from vitalops.model.platform import Platform

_NAMESPACES = "|".join(c.NAMESPACES)
_OURS = (IN_REGION, f'namespace=~"{_NAMESPACES}"')


def region_dashboard(platform: Platform) -> Dashboard:
    return Dashboard(
        "region",
        "Region",
        "One region: what its gateway answers, how long its services take, what its pods use, how its database is.",
        (_gateway(), _services(platform), _pods(), _database(), _media(), telemetry_section()),
        (REGION, TRAFFIC),
    )


def _gateway() -> Section:
    backends = (IN_REGION, OF_TRAFFIC)
    by_code = total(rate(names.BACKEND_RESPONSES, *backends), "code")
    every = total(rate(names.BACKEND_RESPONSES, *backends))
    errors = total(rate(names.BACKEND_RESPONSES, *backends, 'code="5xx"'))
    return Section(
        "Gateway",
        (
            Panel(
                "Answers by class",
                "Everything that services answered through the gateway.",
                Unit.REQUESTS_PER_SECOND,
                (Query(by_code, "{{code}}"),),
                Look.STACKED,
            ),
            Panel(
                "Server errors",
                "Share of all answers that were server errors.",
                Unit.SHARE,
                (Query(share(errors, every), "5xx", Colour.BAD),),
                low=0,
            ),
            Panel(
                "Refused at the door",
                "What the gateway itself answered or passed on with a client error: tokens, limits, unknown paths."
                " A jump is an attack, or a client release that broke.",
                Unit.REQUESTS_PER_SECOND,
                (
                    Query(
                        total(rate(names.FRONTEND_RESPONSES, IN_REGION, 'proxy="api"', 'code="4xx"')),
                        "4xx",
                        Colour.WARNING,
                    ),
                ),
                low=0,
            ),
            Panel(
                "Requests waiting",
                "Requests queued for a service that has no free connection.",
                Unit.COUNT,
                (Query(total(series(names.BACKEND_QUEUE, IN_REGION), "proxy"), "{{proxy}}"),),
                low=0,
            ),
            Panel(
                "Open sessions",
                "Clients connected to the gateway, calls' signalling included.",
                Unit.COUNT,
                (Query(total(series(names.FRONTEND_SESSIONS, IN_REGION, 'proxy="api"')), "sessions"),),
                low=0,
            ),
            Panel(
                "Connections that failed",
                "The gateway could not connect to a service: its pods are down or refuse its certificate.",
                Unit.PER_SECOND,
                (
                    Query(
                        total(rate(names.BACKEND_CONNECTION_ERRORS, IN_REGION), "proxy"),
                        "{{proxy}}",
                    ),
                ),
                low=0,
            ),
        ),
    )


def _services(platform: Platform) -> Section:
    asked = (IN_REGION, OF_TRAFFIC, *counted_by(platform, names.REQUEST_SECONDS))
    lines = limits_of(platform, names.REQUEST_SECONDS)

    def latency(q: float) -> Panel:
        return Panel(
            f"p{100 * q:g} by service",
            f"{100 * q:g} % of requests were faster than this. The line is the platform's own limit.",
            Unit.SECONDS,
            (
                Query(
                    f"topk(15, {quantile(q, names.REQUEST_SECONDS, *asked, by=(c.METRIC_SERVICE,))})",
                    "{{service}}",
                ),
            ),
            lines=lines,
            service_label=c.METRIC_SERVICE,
            low=0,
        )

    return Section("Services", (latency(0.5), latency(0.95), latency(0.99)))


def _pods() -> Section:
    cpu = rate(names.CONTAINER_CPU, *_OURS, window=SLOW_RATE)
    memory = series(names.CONTAINER_MEMORY, *_OURS)
    return Section(
        "Pods",
        (
            Panel(
                "CPU by pod",
                "Cores used by the fifteen busiest pods.",
                Unit.CORES,
                (Query(f"topk(15, {total(cpu, 'namespace', 'pod')})", "{{pod}}"),),
                Look.STACKED,
                12,
            ),
            Panel(
                "Memory by pod",
                "What the kernel counts against each pod's limit: near it, the pod is about to be killed.",
                Unit.BYTES,
                (
                    Query(
                        f"topk(15, {total(memory, 'namespace', 'pod')})",
                        "{{pod}}",
                    ),
                ),
                Look.STACKED,
                12,
            ),
        ),
    )


_RUNNING = (State(0, "down", Colour.BAD), State(1, "up", Colour.GOOD))


def _database() -> Section:
    return Section(
        "Database",
        (
            Panel(
                "PostgreSQL runs",
                "Each member of the region's database, as its Patroni sees it.",
                Unit.STATE,
                (Query(f"max by (pod) ({series(names.DATABASE_RUNNING, IN_REGION)})", "{{pod}}"),),
                Look.STATES,
                states=_RUNNING,
            ),
            Panel(
                "Connections by service",
                "Connections that services hold, in use or idle. All in use: requests wait for the database.",
                Unit.COUNT,
                (CONNECTIONS_IN_USE,),
                low=0,
            ),
            Panel(
                "Write-ahead log",
                "Bytes a second that the database writes (in the active region) or receives (in the other).",
                Unit.BYTES,
                (
                    Query(f"sum({rate(names.WAL_WRITTEN, IN_REGION)})", "written", Colour.NEUTRAL),
                    Query(f"sum({rate(names.WAL_RECEIVED, IN_REGION)})", "received", Colour.GOOD),
                ),
                low=0,
            ),
            Panel(
                "Messages to deliver",
                "Audit events and notices that services still have to hand over; dead ones need a person.",
                Unit.COUNT,
                (
                    Query(
                        total(series(names.OUTBOX_MESSAGES, IN_REGION), c.METRIC_SERVICE, "state"),
                        "{{service}} {{state}}",
                    ),
                ),
                low=0,
            ),
            Panel(
                "Oldest message",
                "How long the oldest undelivered message has waited, by service.",
                Unit.SECONDS,
                (
                    Query(
                        f"max by ({c.METRIC_SERVICE}) ({series(names.OUTBOX_OLDEST, IN_REGION)})",
                        "{{service}}",
                    ),
                ),
                low=0,
            ),
            Panel(
                "Patroni's store last seen",
                "Seconds since Patroni last reached the region's Kubernetes API: without it a primary steps down.",
                Unit.SECONDS,
                (
                    Query(
                        f"time() - max by (pod) ({series(names.DATABASE_STORE_SEEN, IN_REGION)})",
                        "{{pod}}",
                    ),
                ),
                low=0,
            ),
        ),
    )


def _media() -> Section:
    return Section(
        "Media server",
        (
            Panel(
                "Rooms and participants",
                "Calls on the region's LiveKit now.",
                Unit.COUNT,
                ROOMS_AND_PARTICIPANTS,
                width=12,
                low=0,
            ),
            Panel(
                "Media traffic",
                "Bits a second through the media server, by direction.",
                Unit.BITS_PER_SECOND,
                (MEDIA_TRAFFIC,),
                width=12,
                low=0,
            ),
        ),
    )
