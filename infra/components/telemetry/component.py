"""The telemetry of one region, composed from its parts.

Nothing of the platform waits for it: services come up, and go on, without anybody watching them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi

from infra.components.args import RegionArgs
from infra.components.declare import declare
from infra.components.kit import Manifest
from infra.components.telemetry import alertmanager, collector, grafana, logs, prober, prometheus, traces
from infra.components.telemetry.flows import telemetry_flows
from vitalops import conventions as c


def _always(_: RegionArgs) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Part:
    """One program. Both functions are pure; the workloads are declared after the objects."""

    name: str
    objects: Callable[[RegionArgs], list[Manifest]]
    """Accounts, settings, Services, policies: everything but what runs."""
    workloads: Callable[[RegionArgs], list[Manifest]]
    wanted: Callable[[RegionArgs], bool] = _always


PARTS: Final[tuple[Part, ...]] = (
    Part(c.PROMETHEUS_SERVICE, prometheus.prometheus_objects, prometheus.workloads),
    Part(c.ALERTMANAGER_SERVICE, alertmanager.alertmanager_objects, alertmanager.workloads),
    Part(c.TRACES_SERVICE, traces.traces_objects, traces.workloads),
    Part(c.LOGS_SERVICE, logs.logs_objects, logs.workloads),
    Part(c.COLLECTOR, collector.collector_objects, collector.workloads),
    Part(c.PROBER, prober.prober_objects, prober.workloads, prober.wanted),
    Part(c.GRAFANA_SERVICE, grafana.grafana_objects, grafana.workloads, grafana.wanted),
)


class Telemetry(pulumi.ComponentResource):
    """Everything in the namespaces vitalops-telemetry and vitalops-agents."""

    def __init__(
        self,
        args: RegionArgs,
        namespaces: Mapping[str, Sequence[pulumi.Resource]],
        opts: pulumi.ResourceOptions,
        parts: Sequence[Part] = PARTS,
    ) -> None:
        super().__init__("vitalops:region:Telemetry", "telemetry", None, opts)
        own = [*namespaces[c.NAMESPACE_TELEMETRY], *namespaces[c.NAMESPACE_AGENTS]]
        for manifest in telemetry_flows(args):
            declare(manifest, parent=self, depends_on=namespaces[manifest["metadata"]["namespace"]])
        for part in parts:
            if part.wanted(args):
                around = [declare(manifest, parent=self, depends_on=own) for manifest in part.objects(args)]
                for manifest in part.workloads(args):
                    declare(manifest, parent=self, depends_on=around)
        self.register_outputs({})
