"""The ways by which a pair's clients reach it, as this machine can direct them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.traffic.edge import EdgeDirector, KeptEdgeDirector
from vitalops.model.platform import FailoverPair
from vitalops.ports.traffic import TrafficDirector

if TYPE_CHECKING:
    from infra.operations.running import OperatedPlatform


def directors_of(running: OperatedPlatform, pair: FailoverPair) -> tuple[TrafficDirector, ...]:
    """The pair's edge first, then its DNS name where it has one. Connects to nothing yet."""
    setting = running.setting
    if setting.has_edge_here(pair):
        return (EdgeDirector(pair, setting.edge_process(pair), running.clock),)
    clusters = {region: running.cluster(region) for region in (pair.primary, pair.standby)}
    return (KeptEdgeDirector(pair, clusters, running.clock),)
