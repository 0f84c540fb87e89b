"""What is shipped for autoscaling is what the simulator chose: `tests/benchmarks/results/autoscaling.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
OVERLAYS = REPOSITORY / "deploy" / "kubernetes" / "overlays"
RULES = REPOSITORY / "deploy" / "prometheus" / "scaling.yml"
CHOSEN = json.loads((REPOSITORY / "tests" / "benchmarks" / "results" / "autoscaling.json").read_text("utf-8"))["chosen"]
TARGETS = [CHOSEN["offered_target"], CHOSEN["queue_target_seconds"]]


def documents(overlay: str, kind: str) -> list[Any]:
    """Of an overlay's files, its patches among them; the `spec` of each."""
    files = sorted((OVERLAYS / overlay).glob("*.yaml"))
    read = [document for file in files for document in yaml.safe_load_all(file.read_text("utf-8")) if document]
    found = [each["spec"] for each in read if isinstance(each, dict) and each.get("kind") == kind]
    assert found, f"overlays/{overlay} has no {kind}"
    return found


def behaviors(spec: Any) -> Iterator[Any]:
    """Each `behavior` in a document."""
    if isinstance(spec, dict):
        for name, value in spec.items():
            if name == "behavior":
                yield value
            yield from behaviors(value)


def quantity(text: str) -> float:
    """A Kubernetes quantity, whole or in thousandths."""
    return int(text.removesuffix("m")) / 1000 if text.endswith("m") else float(text)


def test_keda_has_the_chosen_targets() -> None:
    specs = [each for each in documents("keda", "ScaledObject") if "triggers" in each]
    triggers = [[one for one in each["triggers"] if one["type"] == "prometheus"] for each in specs]
    found = [each for each in triggers if each]
    assert len(found) == 4
    for each in found:
        assert [float(one["metadata"]["threshold"]) for one in each] == TARGETS
        assert {one.get("metricType", "AverageValue") for one in each} == {"AverageValue"}


def test_keda_polls_and_cools_down_as_simulated() -> None:
    specs = documents("keda", "ScaledObject")
    assert {each["pollingInterval"] for each in specs if "pollingInterval" in each} == {CHOSEN["polling_seconds"]}
    assert {each.get("cooldownPeriod", 300) for each in specs} == {CHOSEN["cooldown_seconds"]}
    least = {each["minReplicaCount"] for each in specs if "minReplicaCount" in each}
    assert min(least) >= 1  # a call that finds no replica is in no counter, so that nothing would wake a service


def test_hpa_has_the_chosen_targets() -> None:
    specs = [each for each in documents("hpa", "HorizontalPodAutoscaler") if "metrics" in each]
    metrics = [[one["external"] for one in each["metrics"] if one["type"] == "External"] for each in specs]
    found = [each for each in metrics if each]
    assert len(found) == 4
    for each in found:
        assert {one["target"]["type"] for one in each} == {"AverageValue"}
        assert [quantity(one["target"]["averageValue"]) for one in each] == TARGETS


@pytest.mark.parametrize(("overlay", "kind"), [("keda", "ScaledObject"), ("hpa", "HorizontalPodAutoscaler")])
def test_behaviour_is_the_chosen_one(overlay: str, kind: str) -> None:
    found = [behavior for spec in documents(overlay, kind) for behavior in behaviors(spec)]
    assert found
    for each in found:
        assert each == CHOSEN["behavior"]


def test_rules_look_as_often_and_as_far_back_as_simulated() -> None:
    [group] = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    assert group["interval"] == f"{CHOSEN['rules_seconds']}s"
    windows = {window for rule in group["rules"] for window in re.findall(r"\[(\w+)\]", rule["expr"])}
    assert windows == {f"{CHOSEN['window_seconds']}s"}


def test_a_queue_asks_for_no_more_than_half_as_many_again() -> None:
    [group] = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    bounds = [
        bound for rule in group["rules"] for bound in re.findall(r"clamp_max\(.*?,\s*([\d.]+)\)", rule["expr"], re.S)
    ]
    assert [float(bound) for bound in bounds] == [CHOSEN["queue_most_seconds"]]


def test_prometheus_scrapes_as_often_as_simulated() -> None:
    endpoints = [one for each in documents("monitoring", "PodMonitor") for one in each["podMetricsEndpoints"]]
    assert {each["interval"] for each in endpoints} == {f"{CHOSEN['scrape_seconds']}s"}
