"""What happened, drawn over every panel: alerts that fire, and planned work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dashboards.model import Colour
from vitalops import conventions as c

FIRING: Final = f'ALERTS{{alertstate="firing",{c.METRIC_SEVERITY}!="{c.SEVERITY_NONE}"}}'
"""Without those that only inform: the one that always fires, and planned work."""


@dataclass(frozen=True, slots=True)
class Annotation:
    name: str
    expr: str
    colour: Colour
    title: str
    text: str
    tags: tuple[str, ...]


ANNOTATIONS: Final = (
    Annotation(
        "Alerts",
        f"max by (alertname, {c.METRIC_SLO}, {c.METRIC_SEVERITY}, {c.METRIC_REGION}, {c.METRIC_RUNBOOK})"
        f" ({FIRING})",
        Colour.BAD,
        "{{alertname}}",
        f"{{{{{c.METRIC_SLO}}}}} in {{{{{c.METRIC_REGION}}}}}; runbook {{{{{c.METRIC_RUNBOOK}}}}}",
        (c.METRIC_SEVERITY, c.METRIC_REGION),
    ),
    Annotation(
        "Planned work",
        f"max by ({c.METRIC_SERVICE}, {c.METRIC_REGION}) ({c.RECORD_PLANNED}) > 0",
        Colour.PLANNED,
        "Planned work",
        f"{{{{{c.METRIC_SERVICE}}}}} in {{{{{c.METRIC_REGION}}}}}: neither pages nor counts against budgets",
        (c.METRIC_REGION,),
    ),
)
