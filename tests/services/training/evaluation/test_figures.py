"""Verdicts, the table and the JSON of figures."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from services.training.evaluation.bootstrap import Estimate
from services.training.evaluation.figures import Figure, Target, not_measured, table


def estimated(value: float) -> Estimate:
    return Estimate(value=value, low=value - 0.1, high=value + 0.1, samples=40)


@pytest.mark.parametrize(("value", "reached"), [(0.55, "short"), (0.60, "must"), (0.79, "must"), (0.80, "goal")])
def test_value_is_held_against_must_and_goal(value: float, reached: str) -> None:
    assert Target(must=0.6, goal=0.8).reached(estimated(value)) == reached


@pytest.mark.parametrize(("value", "reached"), [(0.09, "short"), (0.11, "must"), (0.9, "goal")])
def test_where_it_must_be_clearly_above_the_whole_interval_counts(value: float, reached: str) -> None:
    assert Target(above=0.0, goal=0.8).reached(estimated(value)) == reached


def test_figure_without_a_target_is_only_reported() -> None:
    assert Figure(name="a", title="A", estimate=estimated(0.5)).reached == "reported"


def test_table_shows_sample_size_interval_targets_and_what_is_beside() -> None:
    figure = Figure(name="a", title="share of cats", estimate=estimated(0.5), target=Target(must=0.4, goal=0.7),
                    beside={"chance": 0.125, "real": estimated(0.9)}, note="of four")  # fmt: skip
    text = printed([figure])
    for part in ("share of cats", "0.500", "0.400 to 0.600", "40", "0.40", "0.70", "chance 0.125",
                 "real 0.900 [0.800, 1.000]", "of four"):  # fmt: skip
        assert part in text


def test_figure_that_could_not_be_had_says_why() -> None:
    figure = not_measured("a", "share of cats", "there is no judge", Target(must=0.4))
    assert figure.reached == "not measured" and figure.to_json()["value"] is None
    assert "not measured: there is no judge" in printed([figure])


def test_json_has_the_numbers_with_their_targets() -> None:
    found = Figure(name="a", title="A", estimate=estimated(0.5), target=Target(must=0.4, goal=0.7),
                   beside={"real": estimated(0.9)}).to_json()  # fmt: skip
    assert (found["value"], found["low"], found["high"], found["samples"]) == (0.5, 0.4, 0.6, 40)
    assert (found["must"], found["goal"], found["reached"]) == (0.4, 0.7, "must")
    assert found["beside"]["real"]["value"] == 0.9


def test_ratio_to_nothing_is_not_measured_and_null_in_json() -> None:
    nothing = Estimate(value=float("nan"), low=float("nan"), high=float("nan"), samples=4)
    figure = Figure(name="a", title="A", estimate=nothing, target=Target(must=0.4), beside={"of none": float("nan")})
    found = figure.to_json()
    assert figure.reached == "not measured" and found["value"] is None and found["beside"] == {"of none": None}


def printed(figures: list[Figure]) -> str:
    console = Console(file=io.StringIO(), width=220)
    console.print(table(figures))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
