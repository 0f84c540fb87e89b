"""The dashboards are what their code makes, and have what a reader needs; how they look nobody here can see."""

from __future__ import annotations

import re

import pytest
import yaml

from deploy.grafana.__main__ import DASHBOARDS, rendered
from tests.deploy.grafana.shipped import Panel, dashboards, filled, panels, variables
from tests.deploy.queries import DEPLOY, problems

PROVISIONING = DEPLOY / "grafana" / "provisioning"
by_title = pytest.mark.parametrize("panel", panels(), ids=lambda panel: f"{panel.dashboard}: {panel.title}")


def test_committed_files_are_what_the_code_makes() -> None:
    """After a change: make dashboards."""
    assert {path.name: path.read_text("utf-8") for path in rendered()} == {
        path.name: text for path, text in rendered().items()
    }


def test_no_file_is_there_that_the_code_does_not_make() -> None:
    assert set(dashboards()) == set(DASHBOARDS) == {"overview", "service", "flows", "capacity"}


@by_title
def test_panel_asks_for_what_is_exported(panel: Panel) -> None:
    assert [problem for query in panel.queries for problem in problems(filled(query, {}))] == []


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_values_to_choose_from_are_those_of_what_is_exported(dashboard: str) -> None:
    assert [problem for _, _, selector in variables(dashboard) for problem in problems(filled(selector, {}))] == []


@by_title
def test_panel_has_a_unit_and_a_description_in_sentences(panel: Panel) -> None:
    assert panel.content["fieldConfig"]["defaults"]["unit"]
    assert panel.content["description"].endswith(".")


@by_title
def test_panel_asks_the_data_source_that_was_chosen(panel: Panel) -> None:
    sources = [panel.content["datasource"], *(target["datasource"] for target in panel.content["targets"])]

    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


@by_title
def test_variables_and_legends_of_a_panel_are_known(panel: Panel) -> None:
    known = {name for name, _, _ in variables(panel.dashboard)} | {"__rate_interval"}
    used = {name for query in panel.queries for name in re.findall(r"\$(\w+)", query)}

    assert used <= known
    assert all(target["legendFormat"] for target in panel.content["targets"])


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_of_a_dashboard_are_named_once_and_do_not_overlap(name: str) -> None:
    content = dashboards()[name]["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in content)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len({panel["id"] for panel in content}) == len({panel["title"] for panel in content}) == len(content)
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23


def test_grafana_is_told_of_prometheus_and_of_the_folder() -> None:
    [source] = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text("utf-8"))["datasources"]
    [provider] = yaml.safe_load((PROVISIONING / "dashboards" / "diptych.yml").read_text("utf-8"))["providers"]
    scraping = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8"))["global"]

    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    assert source["jsonData"]["timeInterval"] == scraping["scrape_interval"]
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
