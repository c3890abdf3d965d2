"""Each look of a panel as Grafana draws it."""

from __future__ import annotations

from collections.abc import Iterable
from string import ascii_uppercase
from typing import Any, Final, assert_never

from grafana_foundation_sdk.builders import (
    common,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    text,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as parts
from grafana_foundation_sdk.models import heatmap as heatmap_kinds
from grafana_foundation_sdk.models import prometheus as prometheus_kinds

from dashboards.layout import Heading, Note, Placed
from dashboards.model import MEANINGS, MEANT_LABELS, SERVICE_UID, Colour, Line, Look, Panel, Query, State

DATASOURCE: Final = "datasource"
"""The variable that every panel asks: dashboards name no data source of their own."""


def source() -> parts.DataSourceRef:
    return parts.DataSourceRef(type_val="prometheus", uid=f"${{{DATASOURCE}}}")


def built(placed: Placed, number: int) -> Any:
    """One thing of a dashboard at its place, with `number` as its id."""
    match placed.thing:
        case Heading() as heading:
            row = build.Row(heading.title).build()
            row.id_val, row.collapsed, row.grid_pos = number, False, _position(placed)
            return row
        case Note() as note:
            made: Any = text.Panel().content(note.text).mode(_markdown()).transparent(True).build()
        case Panel() as panel:
            made = _panel(panel).build()
        case _ as never:
            assert_never(never)
    made.id_val, made.grid_pos = number, _position(placed)
    return made


def _markdown() -> Any:
    from grafana_foundation_sdk.models import text as text_kinds

    return text_kinds.TextMode.MARKDOWN


def _position(placed: Placed) -> parts.GridPos:
    return parts.GridPos(x=placed.x, y=placed.y, w=placed.width, h=placed.height)


def _panel(panel: Panel) -> Any:
    match panel.look:
        case Look.LINES | Look.STACKED:
            made: Any = _lines(panel)
        case Look.NUMBER:
            made = _number(panel)
        case Look.TABLE:
            made = _table(panel)
        case Look.STATES:
            made = _states(panel)
        case Look.HEATMAP:
            made = _heatmap(panel)
        case _ as never:
            assert_never(never)
    made = made.title(panel.title).description(panel.tells).datasource(source()).unit(panel.unit.value)
    if panel.low is not None:
        made = made.min(panel.low)
    if panel.high is not None:
        made = made.max(panel.high)
    if panel.service_label:
        made = made.data_links([_to_service(panel)])
    if panel.states:
        made = made.mappings([_mapping(panel.states)])
    for letter, query in zip(ascii_uppercase, panel.queries, strict=False):
        made = made.with_target(_target(query, letter, panel.look))
        if query.colour is not None and panel.look is not Look.TABLE:
            made = made.override_by_query(letter, [_fixed(query.colour)])
    if any(f"{{{{{label}}}}}" in query.legend for query in panel.queries for label in MEANT_LABELS):
        for words, colour in MEANINGS:
            made = made.override_by_regexp(f"/(^| )({'|'.join(words)})( |$)/", [_fixed(colour)])
    return made


def _to_service(panel: Panel) -> build.DashboardLink:
    """The service's dashboard, of the same Prometheus and the same time."""
    holder = "__data.fields" if panel.look is Look.TABLE else "__field.labels"
    chosen = f"var-service=${{{holder}.{panel.service_label}}}&${{region:queryparam}}"
    return build.DashboardLink("Open the service").url(
        f"/d/{SERVICE_UID}?{chosen}&${{{DATASOURCE}:queryparam}}&${{__url_time_range}}"
    )


def _target(query: Query, letter: str, look: Look) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(query.expr).ref_id(letter).datasource(source())
    match look:
        case Look.TABLE:
            return made.instant().format(prometheus_kinds.PromQueryFormat.TABLE)
        case Look.HEATMAP:
            return made.range().format(prometheus_kinds.PromQueryFormat.HEATMAP).legend_format("{{le}}")
        case Look.NUMBER:
            return made.instant().legend_format(query.legend or "__auto")
        case Look.LINES | Look.STACKED | Look.STATES:
            return made.range().legend_format(query.legend or "__auto")
        case _ as never:
            assert_never(never)


def _fixed(colour: Colour) -> parts.DynamicConfigValue:
    return parts.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour.value})


def _thresholds(lines: Iterable[Line], below: Colour) -> build.ThresholdsConfig:
    steps = [parts.Threshold(value=None, color=below.value)]
    steps += [
        parts.Threshold(value=line.value, color=line.colour.value)
        for line in sorted(lines, key=lambda line: line.value)
    ]
    return build.ThresholdsConfig().mode(parts.ThresholdsMode.ABSOLUTE).steps(steps)


def _mapping(states: Iterable[State]) -> parts.ValueMap:
    return parts.ValueMap(
        options={
            str(state.value): parts.ValueMappingResult(text=state.text, color=state.colour.value, index=index)
            for index, state in enumerate(states)
        }
    )


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(kinds.LegendDisplayMode.LIST)
        .placement(kinds.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs([])
    )


def _lines(panel: Panel) -> timeseries.Panel:
    stacked = panel.look is Look.STACKED
    made = (
        timeseries.Panel()
        .line_width(1)
        .fill_opacity(30 if stacked else 8)
        .show_points(kinds.VisibilityMode.NEVER)
        .legend(_legend())
        .tooltip(
            common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING)
        )
        .color_scheme(build.FieldColor().mode(parts.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    )
    if stacked:
        made = made.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
    if panel.lines:
        made = made.thresholds(_thresholds(panel.lines, panel.below)).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED)
        )
    return made


def _number(panel: Panel) -> stat.Panel:
    return (
        stat.Panel()
        .color_mode(kinds.BigValueColorMode.VALUE)
        .graph_mode(kinds.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .color_scheme(build.FieldColor().mode(parts.FieldColorModeId.THRESHOLDS))
        .thresholds(_thresholds(panel.lines, panel.below))
        .no_value("not measured")
    )


def _states(panel: Panel) -> statetimeline.Panel:
    return (
        statetimeline.Panel()
        .merge_values(True)
        .show_value(kinds.VisibilityMode.AUTO)
        .row_height(0.8)
        .fill_opacity(75)
        .color_scheme(build.FieldColor().mode(parts.FieldColorModeId.THRESHOLDS))
        .thresholds(_thresholds(panel.lines, panel.below))
    )


def _heatmap(panel: Panel) -> heatmap.Panel:
    return (
        heatmap.Panel()
        .calculate(False)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_kinds.HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .steps(64)
            .exponent(0.5)
        )
        .cell_values(heatmap.CellValues().unit("short"))
        .y_axis(heatmap.YAxisConfig().unit(panel.unit.value))
    )


def _table(panel: Panel) -> table.Panel:
    """The queries' results side by side, joined by their labels; each query is a column."""
    single = len(panel.queries) == 1
    names = {
        "Value" if single else f"Value #{letter}": query.legend
        for letter, query in zip(ascii_uppercase, panel.queries, strict=False)
    }
    made = (
        table.Panel()
        .filterable(True)
        .with_transformation(parts.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            parts.DataTransformerConfig(
                id_val="organize", options={"excludeByName": {"Time": True}, "renameByName": names}
            )
        )
        .color_scheme(build.FieldColor().mode(parts.FieldColorModeId.THRESHOLDS))
        .thresholds(_thresholds((), Colour.QUIET))
        .no_value("not measured")
    )
    for query in panel.queries:
        properties = [parts.DynamicConfigValue(id_val="unit", value=(query.unit or panel.unit).value)]
        if query.lines:
            steps = [{"value": None, "color": (query.colour or Colour.GOOD).value}]
            steps += [{"value": line.value, "color": line.colour.value} for line in query.lines]
            properties += [
                parts.DynamicConfigValue(id_val="thresholds", value={"mode": "absolute", "steps": steps}),
                parts.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}),
            ]
        made = made.override_by_name(query.legend, properties)
    return made
