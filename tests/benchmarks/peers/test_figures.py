"""From runs of Diptych and two peers to figures."""

from __future__ import annotations

from tests.benchmarks.effort import Result
from tests.benchmarks.peers.figures import figures
from tests.benchmarks.peers.tables import tables


def run(server: str, start: int, rate: float, p99_ms: float, in_time: float = 1.0) -> Result:
    load = {"offered_per_second": 100.0, "answered_per_second": 100.0 * in_time, "p99_ms": p99_ms}
    return {
        "server": server,
        "task": "text",
        "setting": "best",
        "start": start,
        "first_answer_s": 2.0,
        "full": {"answered_per_second": rate, "server_cpu": 1.5},
        "one": {"p50_ms": 8.0, "p99_ms": 9.0},
        "half": load,
        "same": load,
        "over": {"answered_per_second": 0.95 * rate},
        "pss_mb": [300.0, 301.0],
    }


RUNS = [
    run("diptych", 0, 330, 20),
    run("ray", 0, 400, 20, in_time=0.5),
    run("bentoml", 0, 150, 40),
    run("diptych", 1, 360, 30),
    run("ray", 1, 100, 20),
    run("bentoml", 1, 200, 50),
    run("diptych", 2, 300, 30),
    run("ray", 2, 100, 20),
    run("bentoml", 2, 250, 60),
]


def test_best_peer_is_that_of_all_starts_and_one_that_loses_calls_has_no_p99() -> None:
    found = {figure.name: figure for figure in figures(RUNS)}
    assert found["T: throughput / best peer's (bentoml)"].values == [330 / 150, 360 / 200, 300 / 250]
    assert found["T: p99 at half of Diptych's load / best peer's (bentoml)"].values == [20 / 40, 30 / 50, 30 / 60]
    assert found["T: goodput at 400 % / capacity"].met


def test_what_did_not_run_is_a_row() -> None:
    absent: Result = {"server": "ray", "task": "all", "setting": "all", "reason": "could not be installed"}
    told = {table.title: table for table in tables({"runs": RUNS, "absent": [absent]})}
    assert told["What did not run"].rows == [("Ray Serve", "all", "all", "could not be installed")]
    [servers] = [table for title, table in told.items() if title.startswith("T, fp32")]
    assert [row[0] for row in servers.rows] == ["**Diptych**", "Ray Serve", "BentoML"]
