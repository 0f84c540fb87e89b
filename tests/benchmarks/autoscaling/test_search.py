"""The search, and the result that is kept."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest

from tests.benchmarks.autoscaling.__main__ import shipped
from tests.benchmarks.autoscaling.comparison import cases, named, readings, run
from tests.benchmarks.autoscaling.measured import services
from tests.benchmarks.autoscaling.plot import RESULT
from tests.benchmarks.autoscaling.replay import Trigger
from tests.benchmarks.autoscaling.search import LOST_CALL, Candidate, Search, cost
from tests.benchmarks.autoscaling.tables import README, autoscaling
from tests.benchmarks.autoscaling.test_replay import SERVICE, outcome, setup
from tests.benchmarks.tables import updated

KEPT = json.loads(RESULT.read_text("utf-8"))


@dataclass(kw_only=True)
class Valley(Search):
    """A search whose costs can be seen by eye: least at a target of 0.7 and a window of 600."""

    def cost(self, candidate: Candidate) -> float:
        return abs((candidate.offered or 0) - 0.7) + abs(candidate.down_window - 600)


def test_search_ends_where_no_dimension_makes_it_cheaper() -> None:
    grid = {"offered": (0.5, 0.6, 0.7, 0.8), "down_window": (120, 600)}
    found = Valley(services=[], seed=0).best(Candidate(offered=0.5, down_window=120), grid)
    assert (found.offered, found.down_window) == (0.7, 600)
    assert found.up_percent == Candidate().up_percent


def test_cost_is_replica_hours_and_what_lost_calls_are_worth() -> None:
    found = outcome([400.0] * 3600, setup(Trigger(signal="offered", target=10.0)))
    lost = found.counts.refused / SERVICE.capacity / 3600
    assert lost > 0.1
    assert cost(found, SERVICE) == pytest.approx(found.replica_hours + LOST_CALL * lost)


def test_what_is_shipped_is_the_chosen_candidate() -> None:
    chosen, signals = named(KEPT["candidates"])
    assert shipped(chosen) == KEPT["chosen"]
    assert [case.name for case in cases(chosen, signals)] == [line["name"] for line in KEPT["comparison"]]


def test_the_chosen_candidate_costs_less_than_any_signal_alone() -> None:
    costs = [line["cost"] for line in KEPT["comparison"]]
    assert costs[0] <= min(costs[: len(KEPT["candidates"])])


def test_kept_readings_are_those_of_the_measured_replicas() -> None:
    chosen, signals = named(KEPT["candidates"])
    found = readings(services()[0], chosen, signals)
    assert [each["load"] for each in found] == [each["load"] for each in KEPT["readings"]]
    at = {each["load"]: each for each in found}
    for signal in ("backlog", "in_flight", "cpu"):
        assert at[1.5][signal] == at[10.0][signal]
    assert at[10.0]["offered"]["asks"] == pytest.approx(10 * at[1.0]["offered"]["asks"], abs=5)


def test_a_line_of_the_comparison_counts_all_services() -> None:
    chosen, signals = named(KEPT["candidates"])
    first = next(cases(chosen, signals))
    line = run(replace(first, flash=False), services()[2:], KEPT["seed"])
    assert 0 < line["lost_items"] < 0.02 * line["offered_items"]
    assert line["lost_outside_flash_items"] <= line["lost_items"] + line["late_items"]
    assert line["filled_replica_hours"] < line["replica_hours"] < 2 * line["filled_replica_hours"]


def test_readme_has_the_tables_of_the_kept_result() -> None:
    text = README.read_text("utf-8")
    assert updated(text, {"autoscaling": autoscaling}) == text
