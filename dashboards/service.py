"""One service in one region: rate, errors, duration, its objectives, and what it leans on."""

from __future__ import annotations

from dashboards import names
from dashboards.kit import (
    IN_REGION,
    OF_SERVICE,
    OF_TRAFFIC,
    REGION,
    SERVICE,
    SLOW_RATE,
    TRAFFIC,
    increase,
    quantile,
    rate,
    series,
    share,
    total,
)
from dashboards.model import SERVICE_SLUG, Colour, Dashboard, Line, Look, Panel, Query, Section, Unit
from dashboards.objectives import burn, burn_lines, counted_by, left, limits_of, runbooks
from vitalops import conventions as c
from vitalops.model.platform import Platform
from vitalops.slo.windows import bundled_windows

_BACKEND = (IN_REGION, OF_TRAFFIC, 'proxy=~"$service"')
_OWN = (IN_REGION, OF_SERVICE)

_CALLS_NOBODY = "a service that has asked no other since it started has no calls to show"


def service_dashboard(platform: Platform) -> Dashboard:
    return Dashboard(
        SERVICE_SLUG,
        "Service",
        "One service in one region: what it is asked, how it answers, whether it keeps its promises.",
        (_requests(platform), _objectives(platform), _dependencies(), _insides()),
        (REGION, SERVICE, TRAFFIC),
    )


def _requests(platform: Platform) -> Section:
    limits = limits_of(platform, names.REQUEST_SECONDS)
    asked = (*_OWN, OF_TRAFFIC, *counted_by(platform, names.REQUEST_SECONDS))
    every = total(rate(names.BACKEND_RESPONSES, *_BACKEND))
    errors = total(rate(names.BACKEND_RESPONSES, *_BACKEND, 'code="5xx"'))
    return Section(
        "Requests",
        (
            Panel(
                "Answers by class",
                "What the gateway got from the service. No 2xx at all is an outage, or nobody asks.",
                Unit.REQUESTS_PER_SECOND,
                (Query(total(rate(names.BACKEND_RESPONSES, *_BACKEND), "code"), "{{code}}"),),
                Look.STACKED,
            ),
            Panel(
                "Server errors",
                "Share of answers that were server errors, at the gateway: also when no pod answers at all.",
                Unit.SHARE,
                (Query(share(errors, every), "5xx", Colour.BAD),),
                low=0,
            ),
            Panel(
                "Duration",
                "How long requests take inside the service. The line is the platform's own limit.",
                Unit.SECONDS,
                tuple(
                    Query(quantile(q, names.REQUEST_SECONDS, *asked), f"p{100 * q:g}", colour)
                    for q, colour in ((0.5, Colour.GOOD), (0.95, Colour.WARNING), (0.99, Colour.BAD))
                ),
                lines=limits,
                low=0,
            ),
            Panel(
                "Durations",
                "Requests by how long they took. Two bands: two kinds of request, or a dependency that times out.",
                Unit.SECONDS,
                (Query(total(increase(f"{names.REQUEST_SECONDS}_bucket", *asked), "le")),),
                Look.HEATMAP,
                12,
            ),
            Panel(
                "Slowest routes",
                "95 % of requests of each route were faster than this.",
                Unit.SECONDS,
                (
                    Query(
                        f"topk(10, {quantile(0.95, names.REQUEST_SECONDS, *asked, by=('http_route',))})",
                        "{{http_route}}",
                    ),
                ),
                width=12,
                lines=limits,
                low=0,
            ),
        ),
    )


def _objectives(platform: Platform) -> Section:
    budget = Panel(
        "Budgets left",
        "Share of each error budget that is left; at zero nothing more may go wrong.",
        Unit.SHARE,
        (Query(left(*_OWN), "{{sli}}"),),
        lines=(Line(0, Colour.WARNING), Line(0.25, Colour.GOOD)),
        below=Colour.BAD,
        high=1,
    )
    burns = tuple(
        Panel(
            f"Burn over {window.long_name}",
            f"How many times too fast budgets are spent over {window.long_name} (and {window.short_name}). An alert of"
            f" severity {window.severity} fires when both are above the line, and failures are too many to be chance.",
            Unit.MULTIPLE,
            (
                Query(burn(window.long_name, *_OWN), f"{{{{sli}}}} {window.long_name}"),
                Query(burn(window.short_name, *_OWN), f"{{{{sli}}}} {window.short_name}"),
            ),
            lines=burn_lines(platform, window),
            low=0,
        )
        for window in bundled_windows().all
    )
    return Section("Objectives", (budget, *burns), runbooks(platform))


def _dependencies() -> Section:
    calls = total(rate(f"{names.CLIENT_SECONDS}_count", *_OWN), "server_address", "http_response_status_code")
    durations = quantile(0.95, names.CLIENT_SECONDS, *_OWN, by=("server_address",))
    return Section(
        "What it calls",
        (
            Panel(
                "Calls to other services",
                "By destination and status; status 0 is no answer at all.",
                Unit.REQUESTS_PER_SECOND,
                (
                    Query(
                        calls, "{{server_address}} {{http_response_status_code}}", may_be_empty=_CALLS_NOBODY
                    ),
                ),
                Look.STACKED,
                12,
            ),
            Panel(
                "Duration of calls",
                "95 % of calls to each destination were faster than this.",
                Unit.SECONDS,
                (Query(durations, "{{server_address}}", may_be_empty=_CALLS_NOBODY),),
                width=12,
                low=0,
            ),
        ),
        "Where does the time go? `vitalops traces --service $service`; what did it say? `vitalops logs --service"
        " $service`. A trace's id is in every log line of its requests.",
    )


def _insides() -> Section:
    pods = (*_OWN, f'namespace="{c.NAMESPACE_SERVICES}"')
    return Section(
        "Inside",
        (
            Panel(
                "Requests in progress",
                "Requests being answered now. Climbing while the rate does not: something it waits for is stuck.",
                Unit.COUNT,
                (Query(total(series(names.REQUESTS_ACTIVE, *_OWN)), "in progress"),),
                low=0,
            ),
            Panel(
                "Database connections",
                "By state. All used: requests wait for one.",
                Unit.COUNT,
                (
                    Query(
                        total(series(names.DATABASE_CONNECTIONS, *_OWN), "db_client_connection_state"),
                        "{{db_client_connection_state}}",
                    ),
                ),
                Look.STACKED,
                low=0,
            ),
            Panel(
                "Outbox",
                "Messages to other services that were not delivered yet; dead ones need a person.",
                Unit.COUNT,
                (Query(total(series(names.OUTBOX_MESSAGES, *_OWN), "state"), "{{state}}"),),
                low=0,
            ),
            Panel(
                "Oldest message",
                "How long the oldest undelivered message has waited.",
                Unit.SECONDS,
                (Query(f"max({series(names.OUTBOX_OLDEST, *_OWN)})", "oldest"),),
                low=0,
            ),
            Panel(
                "Deliveries to other services",
                "Attempts to hand messages over, by destination and outcome.",
                Unit.PER_SECOND,
                (
                    Query(
                        total(rate(names.OUTBOX_DELIVERIES, *_OWN), "destination", "outcome"),
                        "{{destination}} {{outcome}}",
                        may_be_empty="a service that has told no other anything since it started has none",
                    ),
                ),
                low=0,
            ),
            Panel(
                "Repeated requests",
                "Answers replayed for an idempotency key that was seen before: clients that retry.",
                Unit.PER_SECOND,
                (
                    Query(
                        total(rate(names.REPLAYS, *_OWN)),
                        "replayed",
                        may_be_empty="a service that creates nothing counts no repetitions",
                    ),
                ),
                low=0,
            ),
            Panel(
                "CPU by pod",
                "Cores in use.",
                Unit.CORES,
                (Query(total(rate(names.CONTAINER_CPU, *pods, window=SLOW_RATE), "pod"), "{{pod}}"),),
                low=0,
            ),
            Panel(
                "Memory by pod",
                "What the kernel counts against the pod's limit.",
                Unit.BYTES,
                (Query(total(series(names.CONTAINER_MEMORY, *pods), "pod"), "{{pod}}"),),
                low=0,
            ),
        ),
    )
