"""Both halves of a failover pair, as one region's Prometheus knows them: role, replication, reachability."""

from __future__ import annotations

from dashboards import names
from dashboards.kit import IN_REGION, REGIONS, rate, series, total
from dashboards.model import Colour, Dashboard, Line, Look, Panel, Query, Section, State, Unit
from vitalops import conventions as c
from vitalops.model.platform import Platform
from vitalops.slo.infrastructure import lag_limit

_STANDBY_ONLY = "only the region whose database is the standby receives and replays"


def failover_pair_dashboard(platform: Platform) -> Dashboard:
    return Dashboard(
        "failover-pair",
        "Failover pair",
        "Which region leads, how far the other is behind, whether they see one another. Each region's Prometheus knows"
        " its own half: choose the other region's at the top for the other half.",
        (_promise(platform), roles(), replication(platform), reachability()),
        (REGIONS,),
        span="now-3h",
    )


def _promise(platform: Platform) -> Section:
    rows = [
        f"| {pair.name} | {pair.primary} | {pair.standby} | {pair.rto_seconds} s | {pair.rpo_seconds} s"
        f" | {pair.replication.value} |"
        for pair in platform.pairs.values()
    ]
    note = "\n".join(
        ["| pair | primary | standby | RTO | RPO | replication |", "|---|---|---|---|---|---|", *rows]
    )
    return Section("What is promised", (), note)


def roles() -> Section:
    by = f"max by ({c.METRIC_REGION}, pod)"
    role = (
        f"2 * {by} ({series(names.DATABASE_PRIMARY, IN_REGION)})"
        f" + {by} ({series(names.DATABASE_STANDBY_LEADER, IN_REGION)})"
    )
    return Section(
        "Roles",
        (
            Panel(
                "Role of the database",
                "Exactly one region of a pair may be primary. Two at once: writes are being lost.",
                Unit.STATE,
                (Query(role, "{{region}} {{pod}}"),),
                Look.STATES,
                12,
                states=(
                    State(0, "replica", Colour.QUIET),
                    State(1, "standby leader", Colour.NEUTRAL),
                    State(2, "primary", Colour.GOOD),
                ),
            ),
            Panel(
                "Timeline",
                "Each promotion begins a new one. Different timelines in the two regions: replication is cut off.",
                Unit.COUNT,
                (Query(f"{by} ({series(names.DATABASE_TIMELINE, IN_REGION)})", "{{region}} {{pod}}"),),
                width=12,
            ),
        ),
    )


def replication(platform: Platform) -> Section:
    targets = sorted({lag_limit(pair) for pair in platform.pairs.values()})
    by = f"max by ({c.METRIC_REGION}, pod)"
    received, replayed = (
        f"{by} ({series(metric, IN_REGION)})" for metric in (names.WAL_RECEIVED, names.WAL_REPLAYED)
    )
    applied_at = f"{by} ({series(names.WAL_REPLAYED_AT, IN_REGION)} > 0)"
    age = f"(time() - {applied_at}) * ({received} > bool {replayed})"
    behind = f"{by} ({series(names.WAL_RECEIVED, IN_REGION)} - {series(names.WAL_REPLAYED, IN_REGION)})"
    return Section(
        "Replication",
        (
            Panel(
                "Log position",
                "Bytes of write-ahead log written (active region), received and replayed (the other): the lines of the"
                " two regions should lie on one another.",
                Unit.BYTES,
                (
                    Query(
                        f"{by} ({series(names.WAL_WRITTEN, IN_REGION)})", "{{region}} written", Colour.NEUTRAL
                    ),
                    Query(
                        f"{by} ({series(names.WAL_RECEIVED, IN_REGION)})",
                        "{{region}} received",
                        Colour.GOOD,
                        may_be_empty=_STANDBY_ONLY,
                    ),
                ),
            ),
            Panel(
                "Streaming",
                "Whether the standby receives the log as it is written. No: it falls behind from then on.",
                Unit.STATE,
                (
                    Query(
                        f"{by} ({series(names.DATABASE_STREAMING, IN_REGION)}"
                        f" and on ({c.METRIC_REGION}, pod) {series(names.DATABASE_STANDBY_LEADER, IN_REGION)} == 1)",
                        "{{region}} {{pod}}",
                        may_be_empty=_STANDBY_ONLY,
                    ),
                ),
                Look.STATES,
                states=(State(0, "cut off", Colour.BAD), State(1, "streaming", Colour.GOOD)),
            ),
            Panel(
                "Received and not replayed",
                "Bytes that the standby holds and has not applied.",
                Unit.BYTES,
                (Query(behind, "{{region}} {{pod}}", may_be_empty=_STANDBY_ONLY),),
                low=0,
            ),
            Panel(
                "Behind by",
                "Age of the newest write that the standby has applied, while it has others to apply. The line is the"
                " RPO. Only together with streaming: what never arrives does not count here.",
                Unit.SECONDS,
                (Query(age, "{{region}} {{pod}}", may_be_empty=_STANDBY_ONLY),),
                lines=tuple(Line(target, Colour.BAD) for target in targets if target > 0),
                low=0,
            ),
        ),
    )


def reachability() -> Section:
    peer = series(names.UP, f'job="{c.JOB_PEER}"', IN_REGION)
    return Section(
        "Traffic and reachability",
        (
            Panel(
                "The paired region answers",
                "Whether this region's Prometheus reaches the other's gateway. No: before a failover, make sure that"
                " it is the region that is lost and not the way to it.",
                Unit.STATE,
                (Query(f"max by ({c.METRIC_REGION}, peer) ({peer})", "{{peer}} from {{region}}"),),
                Look.STATES,
                12,
                states=(State(0, "unreachable", Colour.BAD), State(1, "reachable", Colour.GOOD)),
            ),
            Panel(
                "Requests by region",
                "The edge sends everything to the active region: the other serves nothing but probes.",
                Unit.REQUESTS_PER_SECOND,
                (Query(total(rate(names.BACKEND_RESPONSES, IN_REGION), c.METRIC_REGION), "{{region}}"),),
                Look.STACKED,
                12,
            ),
        ),
    )
