"""A failover drill or an experiment while it runs: who leads, who notices, what it costs, when it is over."""

from __future__ import annotations

from dashboards import names
from dashboards.annotations import FIRING
from dashboards.failover_pair import reachability, replication, roles
from dashboards.kit import IN_REGION, REGIONS, firing, increase, rate, total
from dashboards.model import Colour, Dashboard, Look, Panel, Query, Section, State, Unit
from dashboards.objectives import burn, burn_lines, fastest
from vitalops import conventions as c
from vitalops.model.platform import Platform


def drill_dashboard(platform: Platform) -> Dashboard:
    return Dashboard(
        "drill",
        "Drill",
        "What a drill does, by the platform's own metrics and alerts. When its steps began, its journal says.",
        (_noticed(platform), roles(), replication(platform), reachability()),
        (REGIONS,),
        span="now-30m",
    )


def _noticed(platform: Platform) -> Section:
    return Section(
        "Noticed",
        (
            Panel(
                "Alerts firing",
                "How many alerts fire. A drill that raises none has found a hole in alerting.",
                Unit.COUNT,
                (Query(firing(IN_REGION), "firing", Colour.BAD),),
                low=0,
            ),
            Panel(
                "Which alerts",
                "Each alert while it fires.",
                Unit.STATE,
                (
                    Query(
                        f"max by (alertname, {c.METRIC_SLO}) ({FIRING})",
                        "{{alertname}} {{slo}}",
                        may_be_empty="nothing fires on a healthy platform",
                    ),
                ),
                Look.STATES,
                states=(State(1, "firing", Colour.BAD),),
            ),
            Panel(
                "Server errors",
                "What clients got while the drill ran: from the first error to the last is the outage they saw.",
                Unit.REQUESTS_PER_SECOND,
                (
                    Query(
                        total(rate(names.BACKEND_RESPONSES, IN_REGION, 'code="5xx"'), c.METRIC_REGION),
                        "{{region}}",
                        Colour.BAD,
                    ),
                ),
                low=0,
            ),
            Panel(
                "Synthetic consultations",
                "Walks in five minutes, by outcome: service is restored when they pass again.",
                Unit.COUNT,
                (
                    Query(
                        total(increase(names.WALKS, IN_REGION, window="5m"), "outcome"),
                        "{{outcome}}",
                    ),
                ),
                low=0,
            ),
            Panel(
                "Steps that failed",
                "Where synthetic consultations broke off, in five minutes.",
                Unit.COUNT,
                (
                    Query(
                        total(increase(names.STEP_FAILURES, IN_REGION, window="5m"), "step"),
                        "{{step}}",
                    ),
                ),
                low=0,
            ),
            Panel(
                "Cost",
                f"Burn over {fastest()}, the ten highest.",
                Unit.MULTIPLE,
                (Query(f"topk(10, {burn(fastest(), IN_REGION)})", "{{slo}}"),),
                lines=burn_lines(platform),
                low=0,
            ),
        ),
    )
