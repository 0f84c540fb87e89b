"""Rules and configuration as Prometheus' own tools see them, and what each alert has to have."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.deploy.prometheus.configuration import SHIPPED
from tests.deploy.prometheus.programs import run_tool
from tests.deploy.queries import problems, rules

RULE_TESTS = sorted((SHIPPED / "tests").glob("*.yml"))
ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def expectations(alert: str) -> list[bool]:
    """Of each time that the rule tests look at an alert, whether it fires then."""
    tests = [test for path in RULE_TESTS for test in yaml.safe_load(path.read_text("utf-8"))["tests"]]
    looks: list[dict[str, Any]] = [look for test in tests for look in test.get("alert_rule_test", [])]
    return [bool(look["exp_alerts"]) for look in looks if look["alertname"] == alert]


def test_prometheus_takes_its_configuration_with_the_rules() -> None:
    told = run_tool("promtool", "check", "config", SHIPPED / "prometheus.yml")

    assert sum(map(int, re.findall(r"SUCCESS: (\d+) rules found", told))) == len(rules())


def test_alertmanager_takes_its_configuration() -> None:
    told = run_tool("amtool", "check-config", SHIPPED / "alertmanager.yml")

    assert "SUCCESS" in told


def test_rules_do_as_their_tests_say() -> None:
    run_tool("promtool", "test", "rules", *RULE_TESTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_alert_is_seen_to_fire_and_not_to_fire(alert: str) -> None:
    assert set(expectations(alert)) == {True, False}


def test_tests_know_no_alert_that_is_gone() -> None:
    tests = [test for path in RULE_TESTS for test in yaml.safe_load(path.read_text("utf-8"))["tests"]]

    assert {look["alertname"] for test in tests for look in test.get("alert_rule_test", [])} == set(ALERTS)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert", rule.get("record")))
def test_rule_asks_for_what_is_exported(rule: dict[str, Any]) -> None:
    assert problems(rule["expr"]) == []


@pytest.mark.parametrize("alert", ALERTS)
def test_alert_says_how_bad_it_is_and_where_to_read_on(alert: str) -> None:
    rule = ALERTS[alert]

    assert alert.startswith("Diptych")
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["runbook_url"].endswith(f"#{alert.lower()}")
