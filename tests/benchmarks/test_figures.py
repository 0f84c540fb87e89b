"""From runs to figures and tables."""

from __future__ import annotations

from tests.benchmarks.effort import Result
from tests.benchmarks.figures import Figure, best_batch, figures, ratios
from tests.benchmarks.tables import tables

SUMMARY: Result = {
    "offered_per_second": 250.0,
    "answered_per_second": 230.0,
    "p50_ms": 20.0,
    "p90_ms": 25.0,
    "p99_ms": 30.0,
    "refused": 0.0,
    "expired": 0.0,
    "failed": 0,
    "server_cpu": 1.0,
    "client_cpu": 0.1,
    "client_late_p99_ms": 1.0,
}
OVERLOAD: Result = {**SUMMARY, "answered_per_second": 207.0, "refusal_p50_ms": 2.0, "refusal_p99_ms": 30.0}


def run(start: int, bare: dict[str, float]) -> Result:
    loads = {
        share: {**load, "pss_mb": [300.0, 301.0]}
        for share, load in {"50": SUMMARY, "90": SUMMARY, "400": OVERLOAD}.items()
    }
    counted = {"diptych_padding_items_total": 5.0, "diptych_batch_size_sum": 95.0}
    return {
        "task": "text",
        "precision": "fp32",
        "start": start,
        "bare": bare,
        "open": loads,
        "closed": {"1": SUMMARY, "16": SUMMARY, "64": SUMMARY},
        "bursts": SUMMARY,
        "mixed": {"counted": counted},
    }


RUNS = [run(0, {"16": 500.0, "32": 250.0}), run(1, {"16": 230.0, "32": 250.0}), run(2, {"16": 240.0, "32": 200.0})]


def test_best_batch_is_that_of_all_starts_and_not_of_a_lucky_one() -> None:
    assert best_batch(RUNS) == "32"
    assert ratios(RUNS) == [230 / 250, 230 / 250, 230 / 200]


def test_a_figure_meets_its_goal_by_its_median() -> None:
    least = Figure(name="ratio", values=[0.5, 0.93, 0.99], goal=0.92, at_least=True)
    assert least.met
    assert least.told() == "0.93 (0.50 to 0.99)"
    assert not Figure(name="p99", values=[20.0, 26.0, 27.0], goal=25.0, unit=" ms").met


def test_figures_of_modules_have_goals() -> None:
    found = {figure.name: figure for figure in figures({"sections": {"modules": {"runs": RUNS}}})}
    assert found["T fp32: throughput / bare loop"].met
    assert found["T fp32: goodput at 400 % / capacity"].values == [0.9, 0.9, 0.9]
    assert not found["T fp32: refusal at 400 %, p99"].met
    assert found["T fp32: padding with mixed sizes"].values == [5.0, 5.0, 5.0]


def test_tables_have_as_many_cells_as_columns() -> None:
    made = tables({"sections": {"modules": {"runs": RUNS}}})
    assert len(made) == 3
    assert all(len(row) == len(table.header) for table in made for row in table.rows)
    assert made[0].markdown().startswith("Figures and goals:\n\n| figure | measured | goal | met |\n| --- |")
