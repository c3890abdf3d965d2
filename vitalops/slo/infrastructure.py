"""Alerts that no SLO stands for: what is scraped, the paired region, replication, and alerting itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vitalops.conventions import (
    ALERT_PEER_UNREACHABLE,
    ALERT_PROBER_SILENT,
    ALERT_REPLICATION_LAG,
    ALERT_TARGET_DOWN,
    ALERT_WATCHDOG,
    JOB_PEER,
    METRIC_REGION,
    METRIC_RUNBOOK,
    METRIC_SERVICE,
    METRIC_SEVERITY,
    RECORD_PLANNED,
    SEVERITY_NONE,
    SEVERITY_PAGE,
    SEVERITY_TICKET,
)
from vitalops.model.platform import FailoverPair
from vitalops.model.telemetry import PlannedWork, Prober
from vitalops.slo.emit import alert
from vitalops.slo.planned import now_inside

ACTIVE_REGION = "max(patroni_primary) == 1"
"""Non-empty in the region whose database takes writes: the only one that the prober walks through."""
WALKS_MISSED = 5
SILENCE = 300
"""Walks, and seconds at least, without which a prober counts as stuck."""
PEER_FOR = 10
TARGET_FOR = 120
LAG_FOR = 60
"""Seconds that each must last. A peer that is lost is told at once: its pair's recovery time counts from then."""
LAG_LEAST = 5
"""Seconds. Where no loss at all is promised, commits wait for the standby: what lags is its replay alone."""


def lag_limit(pair: FailoverPair) -> int:
    """Seconds of lag that somebody is told of."""
    return max(pair.rpo_seconds, LAG_LEAST)


def infrastructure(
    pair: FailoverPair,
    labels: Mapping[str, str],
    here: tuple[PlannedWork, ...],
    peer: tuple[PlannedWork, ...],
    prober: Prober,
) -> Iterator[str]:
    """The rules of one region. `here` and `peer`: planned work on the whole of it, and of the paired region."""
    region = labels[METRIC_REGION]
    yield alert(
        ALERT_PEER_UNREACHABLE,
        _outside(f'max(up{{job="{JOB_PEER}"}}) == 0', peer),
        {METRIC_SEVERITY: SEVERITY_PAGE, **labels, METRIC_RUNBOOK: "region-failover"},
        {
            "summary": f"The paired region does not answer {region}",
            "description": f"Its gateway has not been reached for {PEER_FOR} seconds.",
            METRIC_RUNBOOK: "region-failover",
        },
        wait=PEER_FOR,
    )
    planned = f"max by ({METRIC_SERVICE}) ({RECORD_PLANNED} == 1)"
    yield alert(
        ALERT_TARGET_DOWN,
        _outside(
            f'max by (job, namespace, {METRIC_SERVICE}, pod) (up{{job!="{JOB_PEER}"}}) == 0\n'
            f"unless on ({METRIC_SERVICE}) {planned}",
            here,
        ),
        {METRIC_SEVERITY: SEVERITY_TICKET, **labels, METRIC_RUNBOOK: "service-rollback"},
        {
            "summary": "{{ $labels.job }} {{ $labels.pod }} is not scraped",
            "description": f"It runs and has not shown its metrics for {TARGET_FOR // 60} minutes.",
            METRIC_RUNBOOK: "service-rollback",
        },
        wait=TARGET_FOR,
    )
    # A standby that has replayed all it received is behind by nothing, however long ago the last write was.
    behind = (
        "(patroni_standby_leader == 1 and patroni_xlog_received_location > patroni_xlog_replayed_location\n"
        f"  and time() - patroni_xlog_replayed_timestamp > {lag_limit(pair)})"
    )
    stopped = "(patroni_standby_leader == 1 and patroni_postgres_streaming == 0)"
    yield alert(
        ALERT_REPLICATION_LAG,
        _outside(f"max({behind}\nor {stopped})", (*here, *peer)),
        {METRIC_SEVERITY: SEVERITY_TICKET, **labels, METRIC_RUNBOOK: "degrade-to-async"},
        {
            "summary": f"The standby database in {region} does not keep up",
            "description": f"It does not receive what the paired region writes, or is more than {lag_limit(pair)} s "
            f"behind, for {LAG_FOR} seconds.",
            METRIC_RUNBOOK: "degrade-to-async",
        },
        wait=LAG_FOR,
    )
    if prober.enabled:
        silence = max(WALKS_MISSED * prober.interval_seconds, SILENCE)
        yield alert(
            ALERT_PROBER_SILENT,
            _outside(
                f"time() - max(vitalops_prober_last_walk_timestamp_seconds) > {silence}\nand on () ({ACTIVE_REGION})",
                (*here, *peer),
            ),
            {METRIC_SEVERITY: SEVERITY_TICKET, **labels, METRIC_RUNBOOK: "service-rollback"},
            {
                "summary": f"The prober in {region} does not walk",
                "description": "Its last synthetic consultation ended {{ $value | humanizeDuration }} ago: what only "
                "it measures is not measured.",
                METRIC_RUNBOOK: "service-rollback",
            },
            wait=2 * prober.interval_seconds,
        )
    yield alert(
        ALERT_WATCHDOG,
        "vector(1)",
        {METRIC_SEVERITY: SEVERITY_NONE, **labels},
        {
            "summary": f"Alerting works in {region}",
            "description": "Always firing: whoever no longer receives it must suspect alerting itself.",
        },
    )


def _outside(expression: str, work: tuple[PlannedWork, ...]) -> str:
    return f"({expression})\nunless on () ({now_inside(work)} == 1)" if work else expression
