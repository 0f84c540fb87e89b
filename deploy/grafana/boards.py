"""What all of Diptych's dashboards have in common: name, variables, times, links to one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard

from deploy.grafana.panels import DATASOURCE

TAG = "diptych"
Rows = Sequence[tuple[str, Sequence[Builder[dashboard.Panel]]]]
"""Titles of rows, each with its panels from left to right."""


def board(
    uid: str, title: str, description: str, rows: Rows, *, variables: Sequence[Builder[Any]] = ()
) -> dashboard.Dashboard:
    """A dashboard over a data source that is chosen at its head."""
    link = (
        builders.DashboardLink("Diptych")
        .type(dashboard.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .keep_time(True)
    )
    built = (
        builders.Dashboard(f"Diptych: {title}")
        .uid(uid)
        .description(description)
        .tags([TAG])
        .timezone("browser")
        .time("now-1h", "now")
        .refresh("30s")
        .readonly()
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .link(link)
        .with_variable(builders.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    for variable in variables:
        built = built.with_variable(variable)
    for row_title, panels in rows:
        built = built.with_row(builders.Row(row_title))
        for panel in panels:
            built = built.with_panel(panel)
    whole = built.build()
    for number, placed in enumerate(whole.panels or [], start=1):
        placed.id_val = number
    return whole


def chosen(name: str, label: str, query: str, first: str, *, many: bool = False) -> builders.QueryVariable:
    """A variable whose values Prometheus knows, such as label_values(metric, label); with `many` also all at once."""
    variable = (
        builders.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"query": query, "refId": name})
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .current(dashboard.VariableOption(text=first, value="$__all" if many else first))
    )
    return variable.multi(True).include_all(True).all_value(".+") if many else variable
