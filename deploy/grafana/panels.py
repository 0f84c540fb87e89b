"""How the panels of the dashboards look: a number, a graph over time, or a table, each with unit and description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
NUMBER_SPAN, GRAPH_SPAN, WHOLE_SPAN = 4, 8, 24
"""Of the 24 columns of a dashboard."""
GREEN, YELLOW, RED = "green", "yellow", "red"

CALLS, ITEMS, SECONDS, SHARE, BYTES, COUNT = "reqps", "cps", "s", "percentunit", "bytes", "short"
"""Units, as Grafana calls them: calls a second, items a second, seconds, a share of 1, bytes, a plain number."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """A PromQL query, and what its series are called: `{{label}}` stands for a label's value."""

    expr: str
    legend: str


@dataclass(frozen=True, kw_only=True)
class Bound:
    """From this value on, the colour."""

    value: float
    colour: str


def query(expr: str, legend: str) -> Query:
    """A query of a panel."""
    return Query(expr=" ".join(expr.split()), legend=legend)


def quantile(share: float, buckets: str, *by: str) -> str:
    """What a share of a histogram's observations are at most; `buckets` is its selector."""
    return f"histogram_quantile({share}, sum by ({', '.join((*by, 'le'))}) (rate({buckets}[$__rate_interval])))"


def number(
    title: str, description: str, unit: str, expr: str, *, bounds: Sequence[Bound] = (), lowest: str = GREEN
) -> stat.Panel:
    """One number as it is now; `lowest` is its colour below all bounds."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .datasource(DATASOURCE)
        .height(4)
        .span(NUMBER_SPAN)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .graph_mode(common.BigValueGraphMode.NONE)
        .thresholds(_thresholds(bounds, lowest))
        .with_target(_target(query(expr, title), "A"))
    )
    return panel.decimals(2) if unit == SHARE else panel


def graph(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    stacked: bool = False,
    most: float | None = None,
    empty: str = "",
    bounds: Sequence[Bound] = (),
) -> timeseries.Panel:
    """Series over time from 0 to `most`; `empty` is shown where it is well that there are none, bounds are dashed."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .datasource(DATASOURCE)
        .height(8)
        .span(GRAPH_SPAN)
        .min(0)
        .line_width(1)
        .fill_opacity(30 if stacked else 0)
        .show_points(common.VisibilityMode.NEVER)
        .legend(
            common_builders.VizLegendOptions()
            .show_legend(True)
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
        )
        .tooltip(
            common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
        )
    )
    if stacked:
        panel = panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL))
    if most is not None:
        panel = panel.max(most)
    if empty:
        panel = panel.no_value(empty)
    if any("{{method}}" in each.legend for each in queries):  # "diptych.gateway.v1.GatewayService/" is on no legend
        short = {"regex": ".+/(.+)", "renamePattern": "$1"}
        panel = panel.transformations([dashboard.DataTransformerConfig(id_val="renameByRegex", options=short)])
    if bounds:
        panel = panel.thresholds(_thresholds(bounds, GREEN)).thresholds_style(
            common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        )
    for letter, each in zip("ABCDEFGH", queries, strict=False):
        panel = panel.with_target(_target(each, letter))
    return panel


def listing(title: str, description: str, expr: str, *, hidden: Sequence[str]) -> table.Panel:
    """The labels of the series that there are now, a line each; those of `hidden` say nothing here."""
    target = _target(query(expr, title), "A").format(PromQueryFormat.TABLE).instant()
    columns = dashboard.DataTransformerConfig(
        id_val="organize", options={"excludeByName": dict.fromkeys(["Time", "Value", *hidden], True)}
    )
    return (
        table.Panel()
        .title(title)
        .description(description)
        .unit("none")
        .datasource(DATASOURCE)
        .height(8)
        .span(WHOLE_SPAN)
        .with_target(target)
        .transformations([columns])
    )


def _target(each: Query, letter: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(each.expr).legend_format(each.legend).ref_id(letter).datasource(DATASOURCE)


def _thresholds(bounds: Sequence[Bound], lowest: str) -> builders.ThresholdsConfig:
    steps = [dashboard.Threshold(value=None, color=lowest)]
    steps += [dashboard.Threshold(value=bound.value, color=bound.colour) for bound in bounds]
    return builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)
