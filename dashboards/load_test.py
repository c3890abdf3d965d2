"""What a load test does to the platform, from the platform's own metrics. The generators' are not among them."""

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
from dashboards.model import Colour, Dashboard, Look, Panel, Query, Section, Unit
from dashboards.objectives import burn, burn_lines, counted_by, fastest, limits_of
from dashboards.queries import CONNECTIONS_IN_USE
from vitalops import conventions as c
from vitalops.model.platform import Platform

_BACKENDS = (IN_REGION, OF_TRAFFIC)


def load_test_dashboard(platform: Platform) -> Dashboard:
    return Dashboard(
        "load-test",
        "Load test",
        "Load, what it costs in time and errors, and what is about to give way: measured by the platform. What the load"
        " generators themselves measure is in their own reports.",
        (_load(platform), _saturation(platform)),
        (REGION, TRAFFIC),
        span="now-30m",
    )


def _load(platform: Platform) -> Section:
    asked = (IN_REGION, OF_TRAFFIC, *counted_by(platform, names.REQUEST_SECONDS))
    every = total(rate(names.BACKEND_RESPONSES, *_BACKENDS))
    errors = total(rate(names.BACKEND_RESPONSES, *_BACKENDS, 'code="5xx"'))
    return Section(
        "Load and answers",
        (
            Panel(
                "Requests",
                "What the region answers, by class.",
                Unit.REQUESTS_PER_SECOND,
                (Query(total(rate(names.BACKEND_RESPONSES, *_BACKENDS), "code"), "{{code}}"),),
                Look.STACKED,
            ),
            Panel(
                "Server errors",
                "Share of all answers: where it leaves zero is what the platform can bear.",
                Unit.SHARE,
                (Query(share(errors, every), "5xx", Colour.BAD),),
                low=0,
            ),
            Panel(
                "Duration",
                "Over all services. The line is the platform's own limit.",
                Unit.SECONDS,
                tuple(
                    Query(quantile(q, names.REQUEST_SECONDS, *asked), f"p{100 * q:g}", colour)
                    for q, colour in ((0.5, Colour.GOOD), (0.95, Colour.WARNING), (0.99, Colour.BAD))
                ),
                lines=limits_of(platform, names.REQUEST_SECONDS),
                low=0,
            ),
        ),
    )


def _saturation(platform: Platform) -> Section:
    pods = (IN_REGION, 'pod!=""')
    return Section(
        "What gives way first",
        (
            Panel(
                "CPU by pod",
                "Cores used by the ten busiest pods: the one that stops growing while load does is the bottleneck.",
                Unit.CORES,
                (
                    Query(
                        f"topk(10, {total(rate(names.CONTAINER_CPU, *pods, window=SLOW_RATE), 'pod')})",
                        "{{pod}}",
                    ),
                ),
                Look.STACKED,
            ),
            Panel(
                "Requests in progress",
                "By service: climbing without an end is saturation.",
                Unit.COUNT,
                (
                    Query(
                        f"topk(10, {total(series(names.REQUESTS_ACTIVE, IN_REGION), c.METRIC_SERVICE)})",
                        "{{service}}",
                    ),
                ),
                low=0,
            ),
            Panel(
                "Waiting at the gateway",
                "Requests queued for a service without a free connection.",
                Unit.COUNT,
                (Query(total(series(names.BACKEND_QUEUE, IN_REGION)), "queued", Colour.WARNING),),
                low=0,
            ),
            Panel(
                "Database connections in use",
                "By service.",
                Unit.COUNT,
                (CONNECTIONS_IN_USE,),
                low=0,
            ),
            Panel(
                "Participants in calls",
                "What a media load adds to the region's LiveKit.",
                Unit.COUNT,
                (Query(total(series(names.MEDIA_PARTICIPANTS, IN_REGION)), "participants", Colour.NEUTRAL),),
                low=0,
            ),
            Panel(
                "Fastest burning objectives",
                f"Burn over {fastest()}, the ten highest: what this test would have cost in budget.",
                Unit.MULTIPLE,
                (Query(f"topk(10, {burn(fastest(), IN_REGION)})", "{{slo}}"),),
                lines=burn_lines(platform),
                low=0,
            ),
        ),
    )
