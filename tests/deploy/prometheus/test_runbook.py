"""Each alert has its part of the runbook, and the runbook's commands do something on a platform that runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.prometheus.programs import program
from tests.deploy.prometheus.runbook import commands, queries, sections
from tests.deploy.prometheus.test_rules import ALERTS
from tests.deploy.prometheus.watched import Watched
from tests.deploy.queries import problems
from tests.end_to_end.servers import REPOSITORY

PARTS = ("**Means**", "**Impact**", "**First look**", "**Remedy**")
DIPTYCH = f'diptych() {{ "{sys.executable}" -m gateway.command_line "$@"; }}'


def test_every_alert_has_a_section_and_every_section_an_alert() -> None:
    assert sorted(sections()) == sorted(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_section_says_what_it_means_who_notices_what_to_look_at_and_what_helps(alert: str) -> None:
    text = sections()[alert]

    places = [text.find(part) for part in PARTS]
    assert -1 not in places
    assert places == sorted(places)
    assert f"`{ALERTS[alert]['labels']['severity']}`" in text
    assert "```sh" in text


def test_every_query_is_found_and_asks_for_what_is_exported() -> None:
    assert len(queries()) == sum(block.count("promtool query") for block in commands()) > 20
    assert [problem for query in queries() for problem in problems(query)] == []


@pytest.mark.parametrize("block", commands(), ids=lambda block: block.split("\n", 1)[0][:60])
def test_commands_run_against_a_platform(block: str, watched: Watched, tmp_path: Path) -> None:
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
