"""What every rule and every panel asks, asked of a real Prometheus that watched real servers: there must be series.

The runbook's commands run against the same servers.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.grafana.shipped import Panel, filled, panels, variables
from tests.deploy.prometheus.programs import Series, program
from tests.deploy.prometheus.runbook import commands
from tests.deploy.prometheus.watched import Watched
from tests.deploy.queries import rules, selectors
from tests.end_to_end.servers import REPOSITORY

ONLY_OVER_TLS = {"diptych_tls_certificate_expiry_timestamp_seconds"}
"""Exported by servers with a certificate; those that are watched here have none."""
RATE_INTERVAL = "10s"
"""Of a Prometheus that scrapes once a second."""
DIPTYCH = f'diptych() {{ "{sys.executable}" -m gateway.command_line "$@"; }}'


def over_the_run(watched: Watched, query: str) -> list[Series]:
    """A query's series while the traffic lasted."""
    return watched.prometheus.ask_range(query, begin=watched.begin, end=watched.end)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert", rule.get("record")))
def test_rule_reads_series_that_there_are(rule: dict[str, Any], watched: Watched) -> None:
    asked = [each for each in selectors(rule["expr"]) if each.name not in ONLY_OVER_TLS]
    missing = [each.text for each in asked if not over_the_run(watched, each.text)]

    assert missing == []


@pytest.mark.parametrize("name", [rule["record"] for rule in rules() if "record" in rule])
def test_recorded_series_are_numbers(name: str, watched: Watched) -> None:
    assert any(series.finite for series in over_the_run(watched, name))


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: f"{panel.dashboard}: {panel.title}")
def test_panel_shows_something(panel: Panel, watched: Watched) -> None:
    offered = {
        name: watched.prometheus.label_values(label, selector)
        for name, label, selector in variables(panel.dashboard)
        if "$" not in selector
    }
    choices = [dict(zip(offered, values, strict=True)) for values in itertools.product(*offered.values())]

    empty = [
        query
        for query in panel.queries
        if not any(
            series.finite
            for chosen in choices
            for series in over_the_run(watched, filled(query, {"__rate_interval": RATE_INTERVAL, **chosen}))
        )
    ]

    assert empty == []


def test_alerts_whose_cause_was_in_the_traffic_were_raised(watched: Watched) -> None:
    raised = {series.labels["alertname"] for series in over_the_run(watched, "ALERTS")}

    assert {"DiptychModelProcessRestarts", "DiptychNoCommonSpace"} <= raised


def test_no_alert_was_raised_without_a_cause_while_all_was_well(watched: Watched) -> None:
    """The second text service is of another space and has nothing to do; and a busy test machine may be slow."""
    raised = watched.prometheus.ask_range("ALERTS", begin=watched.begin, end=watched.healthy_until)

    expected = {"DiptychReplicaIdle", "DiptychCallsSlow"}
    assert {series.labels["alertname"] for series in raised} - expected == set()


def test_parts_of_a_flow_add_up_to_no_more_than_its_calls_took(watched: Watched) -> None:
    method = 'method="diptych.gateway.v1.GatewayService/TextToImage"'
    [parts] = watched.prometheus.ask(f"sum(diptych_flow_seconds_total{{{method}}})")
    [whole] = watched.prometheus.ask(f"sum(diptych_rpc_seconds_sum{{{method}}})")

    assert 0 < parts.values[0] <= whole.values[0]


@pytest.mark.parametrize("block", commands(), ids=lambda block: block.split("\n", 1)[0][:60])
def test_commands_of_the_runbook_run(block: str, watched: Watched, tmp_path: Path) -> None:
    program("promtool")
    environment = {
        **os.environ,
        "PYTHONPATH": f"{REPOSITORY / 'protos'}:{REPOSITORY}",
        "PROMETHEUS": watched.prometheus.url,
        "DIPTYCH_ADDRESS": watched.servers["gateway"][0].address,
    }

    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{DIPTYCH}\n{block}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert result.returncode == 0, f"{block}\n{result.stdout}{result.stderr}"
