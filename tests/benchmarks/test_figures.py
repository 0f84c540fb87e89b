"""From runs to figures and tables."""

from __future__ import annotations

from tests.benchmarks.counted import counted
from tests.benchmarks.effort import Result
from tests.benchmarks.figures import Figure, best_batch, busy_shares, figures, model_rates, ratios
from tests.benchmarks.tables import tables
from tests.end_to_end.scrape import Metrics

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
COUNTED: Result = {
    "diptych_padding_items_total": 5.0,
    "diptych_batch_size_sum": 95.0,
    "diptych_inference_seconds_sum": 0.38,
    "diptych_late_items_total": 19.0,
    "diptych_overdue_seconds.most": 0.005,
}


def run(start: int, bare: dict[str, float]) -> Result:
    loads = {
        share: {**load, "pss_mb": [300.0, 301.0], "counted": COUNTED}
        for share, load in {"50": SUMMARY, "90": SUMMARY, "400": OVERLOAD}.items()
    }
    return {
        "task": "text",
        "precision": "fp32",
        "start": start,
        "bare": bare,
        "open": loads,
        "closed": {"1": SUMMARY, "16": SUMMARY, "64": {**SUMMARY, "counted": COUNTED}},
        "bursts": SUMMARY,
        "mixed": {"counted": COUNTED},
    }


RUNS = [run(0, {"16": 500.0, "32": 250.0}), run(1, {"16": 230.0, "32": 250.0}), run(2, {"16": 240.0, "32": 200.0})]


def test_best_batch_is_that_of_all_starts_and_not_of_a_lucky_one() -> None:
    assert best_batch(RUNS) == "32"
    assert ratios(RUNS) == [230 / 250, 230 / 250, 230 / 200]


def test_where_the_throughput_goes_is_the_speed_of_the_model_times_its_busy_time() -> None:
    assert model_rates(RUNS) == [250.0] * 3
    assert busy_shares(RUNS) == [0.92] * 3


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
    assert found["T fp32: items run in vain at 400 %"].values == [20.0] * 3
    assert found["T fp32: in queue past the deadline at 400 %"].values == [5.0] * 3
    assert found["T fp32: padding with mixed sizes"].values == [5.0, 5.0, 5.0]


def test_tables_have_as_many_cells_as_columns() -> None:
    made = tables({"sections": {"modules": {"runs": RUNS}}})
    assert len(made) == 3
    assert all(len(row) == len(table.header) for table in made for row in table.rows)
    assert made[0].markdown().startswith("Figures and goals:\n\n| figure | measured | goal | met |\n| --- |")


def metrics(**samples: float) -> Metrics:
    """`name__le_0_01` is the sample `name` with the label le="0.01"."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for name, value in samples.items():
        family, _, label = name.partition("__")
        key, _, text = label.partition("_")
        found[family, frozenset({(key, text.replace("_", "."))} if label else ())] = value
    return Metrics(families=frozenset(), samples=found)


def test_what_a_server_counted_is_told_by_its_parts() -> None:
    before = metrics(diptych_rejected_total__reason_overload=5.0)
    after = metrics(diptych_rejected_total__reason_overload=7.0, diptych_rejected_total__reason_other=1.0)
    assert counted(before, after) == {
        "diptych_rejected_total": 3.0,
        "diptych_rejected_total.overload": 2.0,
        "diptych_rejected_total.other": 1.0,
    }


def test_the_longest_stay_past_a_deadline_is_that_of_the_last_bucket() -> None:
    bucket = "diptych_overdue_seconds_bucket"
    before = metrics(diptych_overdue_seconds_count=1.0, **{f"{bucket}__le_0_001": 0.0, f"{bucket}__le_0_005": 1.0})
    after = metrics(diptych_overdue_seconds_count=3.0, **{f"{bucket}__le_0_001": 2.0, f"{bucket}__le_0_005": 3.0})
    assert counted(before, after)["diptych_overdue_seconds.most"] == 0.001
