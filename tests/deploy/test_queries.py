"""The checker of queries knows what is exported, and finds what is not."""

from __future__ import annotations

import pytest

from tests.deploy.queries import exported, problems, recorded, selectors


def test_series_are_known_by_reflection_with_their_labels() -> None:
    series = exported()

    assert series["diptych_rpc_requests_total"] == {"method", "code"}
    assert series["diptych_inference_seconds_bucket"] == {"bucket", "le"}
    assert series["diptych_queue_depth"] == frozenset()
    assert series["diptych_process_resident_memory_bytes"] == {"process"}
    assert "diptych_rpc_requests" not in series


def test_recording_rules_are_known() -> None:
    assert "diptych:calls_answered:rate5m" in recorded()


def test_selectors_are_found_wherever_they_stand() -> None:
    query = 'sum by (code) (rate(diptych_rpc_requests_total{method=~"a.+"}[5m])) / scalar(sum(up)) > 1'

    assert [(each.name, each.labels) for each in selectors(query)] == [
        ("diptych_rpc_requests_total", {"method"}),
        ("up", frozenset()),
    ]


@pytest.mark.parametrize(
    "query",
    [
        'rate(diptych_rpc_requests_total{code="OK", component="text"}[5m])',
        "histogram_quantile(0.99, sum by (le, component) (rate(diptych_queue_seconds_bucket[5m])))",
        "diptych:calls_failed:rate5m > 0",
        'up{job="diptych"} == 0',
    ],
)
def test_right_query_has_no_problem(query: str) -> None:
    assert problems(query) == []


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("rate(diptych_rpc_request_total[5m])", "diptych_rpc_request_total"),
        ("rate(diptych_queue_seconds[5m])", "diptych_queue_seconds"),
        ('diptych_queue_depth{method="x"}', "no label method"),
        ("sum by (methods) (diptych_rpc_in_flight)", "grouped by methods"),
        ("sum(rate(diptych_queue_depth[5m])", "diptych_queue_depth"),
        ('{job="diptych"}', "without a name"),
    ],
)
def test_wrong_query_is_told(query: str, word: str) -> None:
    [problem] = problems(query)

    assert word in problem


def test_metrics_of_others_may_be_named() -> None:
    assert problems("sum by (pod) (kube_pod_info)", foreign=["kube_pod_info"]) == []
