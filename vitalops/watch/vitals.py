"""How a region does right now, in one query: cheap enough for every few seconds over a slow line."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

from vitalops import conventions as c
from vitalops.ports.metrics import MetricsSource
from vitalops.watch.snapshot import Vitals

_LABEL: Final = "vital"
_RESPONSES: Final = "haproxy_backend_http_responses_total"
_CONSULTATIONS: Final = "vitalops_consultations"
_WALKS: Final = "vitalops_prober_walks_total"
_LAST_WALK: Final = "vitalops_prober_last_walk_timestamp_seconds"
METRICS: Final = (_RESPONSES, _CONSULTATIONS, _WALKS, _LAST_WALK)
"""What of the platform's own metrics is asked for."""


def _parts(region: str) -> dict[str, str]:
    here = f'{c.METRIC_REGION}="{region}"'
    real = f'{_RESPONSES}{{{here},{c.METRIC_TRAFFIC}="{c.TRAFFIC_REAL}"'
    consultations = f"{_CONSULTATIONS}{{{here}"
    standby = f"patroni_standby_leader{{{here}}} == 1"
    return {
        "age": f"time() - max(timestamp(up{{{here}}}))",
        "requests": f"sum(rate({real}}}[1m]))",
        "errors": f'sum(rate({real},code="5xx"}}[1m])) / (sum(rate({real}}}[1m])) > 0)',
        "in_call": f'sum({consultations},state="in_call"}})',
        "waiting": f'sum({consultations},state="waiting"}})',
        # A standby that has replayed all it received is behind by nothing, however long ago the last write was.
        "lag": (
            f"max((time() - patroni_xlog_replayed_timestamp{{{here}}})"
            " * (patroni_xlog_received_location > bool patroni_xlog_replayed_location)"
            f" and {standby})"
        ),
        "streaming": f"min(patroni_postgres_streaming and {standby})",
        "last_walk": f"max({_LAST_WALK}{{{here}}})",
        "failed_walks": f'sum(increase({_WALKS}{{{here},outcome="failed"}}[15m]))',
    }


def query(region: str) -> str:
    """One query for all of it, the values told apart by a label."""
    return "\nor ".join(
        f'label_replace({expression}, "{_LABEL}", "{name}", "", "")'
        for name, expression in _parts(region).items()
    )


def vitals(metrics: MetricsSource, region: str) -> Vitals:
    """How `region` does. Raises RemoteError where its Prometheus does not answer."""
    found = {
        sample.labels.get(_LABEL): sample.value
        for sample in metrics.instant(query(region))
        if math.isfinite(sample.value)
    }
    streaming, walked = found.get("streaming"), found.get("last_walk")
    return Vitals(
        age=found.get("age"),
        requests=found.get("requests"),
        errors=found.get("errors"),
        in_call=found.get("in_call"),
        waiting=found.get("waiting"),
        lag=found.get("lag"),
        streaming=None if streaming is None else streaming > 0,
        # The gauge is 0 until the prober has ended its first walk.
        last_walk=datetime.fromtimestamp(walked, UTC) if walked else None,
        failed_walks=found.get("failed_walks"),
    )
