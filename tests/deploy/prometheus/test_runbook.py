"""Each alert has its part of the runbook, whose queries ask for what there is; test_live.py runs its commands."""

from __future__ import annotations

import pytest

from tests.deploy.prometheus.runbook import commands, queries, sections
from tests.deploy.prometheus.test_rules import ALERTS
from tests.deploy.queries import problems

PARTS = ("**Means**", "**Impact**", "**First look**", "**Remedy**")


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
