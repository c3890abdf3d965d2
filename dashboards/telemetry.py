"""What watches a region, watched: a part of the region's dashboard."""

from __future__ import annotations

from dashboards import names
from dashboards.kit import IN_REGION, series, total
from dashboards.model import Colour, Line, Look, Panel, Query, Section, Unit
from vitalops import conventions as c


def telemetry_section() -> Section:
    return Section(
        "Telemetry",
        (
            Panel(
                "Targets",
                "What Prometheus scrapes, by job: the share of targets that answer.",
                Unit.SHARE,
                (Query(f"avg by (job) ({series(names.UP, IN_REGION)})", "{{job}}"),),
                Look.LINES,
                lines=(Line(1, Colour.GOOD),),
                below=Colour.BAD,
                low=0,
                high=1,
            ),
            Panel(
                "Series in memory",
                "What Prometheus keeps in memory. A sudden climb is a label that should not be one.",
                Unit.COUNT,
                (Query(total(series(names.SERIES_KEPT, IN_REGION)), "series"),),
                low=0,
            ),
            Panel(
                "Memory of telemetry",
                "Resident memory of the programs that watch the region.",
                Unit.BYTES,
                (
                    Query(
                        total(
                            series(names.RESIDENT_MEMORY, IN_REGION, f'namespace="{c.NAMESPACE_TELEMETRY}"'),
                            "pod",
                        ),
                        "{{pod}}",
                    ),
                ),
                Look.STACKED,
                low=0,
            ),
            Panel(
                "Slowest scrapes",
                "Seconds that the ten slowest targets take to answer; near the scrape interval, data has gaps.",
                Unit.SECONDS,
                (
                    Query(
                        f"topk(10, max by (job, pod) ({series(names.SCRAPE_SECONDS, IN_REGION)}))",
                        "{{job}} {{pod}}",
                    ),
                ),
                width=12,
                low=0,
            ),
            Panel(
                "Rule evaluation",
                "Seconds that each group of rules takes. Near its interval, alerts come late.",
                Unit.SECONDS,
                (Query(f"topk(10, max by (rule_group) ({names.RULE_SECONDS}))", "{{rule_group}}"),),
                width=12,
                low=0,
            ),
        ),
    )
