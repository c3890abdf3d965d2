"""A whole dashboard as Grafana's JSON: variables, annotations, links, panels."""

from __future__ import annotations

import json
from typing import Any, Final, assert_never

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as parts

from dashboards.annotations import ANNOTATIONS, Annotation
from dashboards.grafana.panels import DATASOURCE, built, source
from dashboards.layout import place
from dashboards.model import Choice, Dashboard, Variable

_ALL: Final = "$__all"


def to_json(dashboard: Dashboard) -> str:
    """The same text for the same dashboard, always."""
    made = (
        build.Dashboard(dashboard.title)
        .uid(dashboard.uid)
        .description(dashboard.tells)
        .tags(list(dashboard.tags))
        .timezone("browser")
        .readonly()
        .tooltip(parts.DashboardCursorSync.CROSSHAIR)
        .time(dashboard.span, "now")
        .refresh("30s")
        .link(_other_dashboards(dashboard.tags[0]))
        .with_variable(build.DatasourceVariable(DATASOURCE).label("Region's Prometheus").type("prometheus"))
    )
    for variable in dashboard.variables:
        made = made.with_variable(_variable(variable))
    page = made.build()
    page.annotations = parts.AnnotationContainer(list_val=[_annotation(each) for each in ANNOTATIONS])
    page.panels = [built(placed, number) for number, placed in enumerate(place(dashboard.sections), start=1)]
    return json.dumps(page, cls=JSONEncoder, indent=1, ensure_ascii=False) + "\n"


def _other_dashboards(tag: str) -> build.DashboardLink:
    return (
        build.DashboardLink("Dashboards")
        .type(parts.DashboardLinkType.DASHBOARDS)
        .tags([tag])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )


def _variable(variable: Variable | Choice) -> Any:
    match variable:
        case Variable():
            made = (
                build.QueryVariable(variable.name)
                .label(variable.title)
                .datasource(source())
                .query(
                    {"query": f"label_values({variable.series}, {variable.label})", "refId": variable.name}
                )
                .refresh(parts.VariableRefresh.ON_TIME_RANGE_CHANGED)
                .sort(parts.VariableSort.ALPHABETICAL_ASC)
            )
            if variable.every:
                made = made.include_all(True).multi(True).all_value(".*")
                made = made.current(parts.VariableOption(selected=True, text="All", value=_ALL))
            return made
        case Choice():
            text, value = variable.values[0]
            return (
                build.CustomVariable(variable.name)
                .label(variable.title)
                .values(", ".join(f"{text} : {value}" for text, value in variable.values))
                .current(parts.VariableOption(selected=True, text=text, value=value))
                .options(
                    [
                        parts.VariableOption(selected=index == 0, text=text, value=value)
                        for index, (text, value) in enumerate(variable.values)
                    ]
                )
            )
        case _ as never:
            assert_never(never)


class _PrometheusAnnotation(parts.AnnotationQuery):
    """The SDK's type lacks what Grafana's Prometheus plug-in reads besides: how an event is titled and told."""

    def __init__(self, annotation: Annotation) -> None:
        super().__init__(
            name=annotation.name,
            datasource=source(),
            enable=True,
            hide=False,
            icon_color=annotation.colour.value,
            expr=annotation.expr,
        )
        self._told = {
            "titleFormat": annotation.title,
            "textFormat": annotation.text,
            "tagKeys": ",".join(annotation.tags),
            "step": "30s",
        }

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), **self._told}


def _annotation(annotation: Annotation) -> parts.AnnotationQuery:
    return _PrometheusAnnotation(annotation)
