"""The robustness runs in short versions: what they count is asserted here, so that the programs stay true."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.training.tiny import write_tiny_models
from tests.benchmarks.robustness import cancel_storm, kills, rolling_restarts, soak
from tests.benchmarks.robustness.calls import ECHO_FLOWS, Seen, WrongAnswerError
from tests.benchmarks.robustness.flatness import trend
from tests.benchmarks.robustness.fleet import Fleet, running
from tests.end_to_end.servers import MODEST

Start = Callable[..., Fleet]
ENDS_AT_ONCE: dict[str, object] = {"drain_delay_seconds": 0.0}
"""Where nothing drains before the end of the test."""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a fleet of simulated models, or of those that are given."""
    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(running(lambda mark: Fleet(tmp_path, mark, **how)))


def test_cancelled_calls_leave_no_wrong_answer_and_every_gauge_at_0(start: Start) -> None:
    result = asyncio.run(cancel_storm.measure(start(replicas=1, settings=ENDS_AT_ONCE), calls=1200))

    facts = result.facts
    assert (facts["failed"], facts["busy"]) == ({}, {})
    assert facts["calls"] == 1200
    assert facts["cancelled"] > 100
    assert facts["answered"] + facts["cancelled"] == 1200
    assert facts["joined"] > 10


def test_fleet_rolled_under_load_fails_no_call(start: Start) -> None:
    traffic = rolling_restarts.Traffic(
        name="simulated", fleet=start(replicas=1, settings={"drain_delay_seconds": 1.0}), flows=ECHO_FLOWS, rate=50.0
    )

    result = asyncio.run(rolling_restarts.measure([traffic], rounds=1))

    assert result.met, (result.goals, traffic.seen.examples)
    assert traffic.replaced == 5
    assert traffic.seen.answered.total() > 50


def test_killed_processes_cost_calls_nothing_but_unavailable(start: Start) -> None:
    result, seen = asyncio.run(kills.measure(start(settings=ENDS_AT_ONCE), ECHO_FLOWS, kills=3, rate=50.0))

    assert set(seen.failed) <= {"UNAVAILABLE"}, seen.examples
    assert len(result.facts["kills"]) == 3
    assert seen.answered.total() > 50


def test_soak_counts_calls_of_every_kind_and_none_that_ends_otherwise(
    start: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    models = write_tiny_models(tmp_path_factory.mktemp("models"))

    result = asyncio.run(
        soak.measure(start(models=models, replicas=1, spares=0, settings=MODEST | ENDS_AT_ONCE), seconds=2.0)
    )

    assert result.facts["wrong"] == []
    assert result.facts["busy"] == {}
    kinds = {end.partition(":")[0] for end in result.facts["ends"]}
    assert kinds == {"good", "tight", "cancelled", "bad"}


async def test_answer_of_another_question_is_counted_as_wrong() -> None:
    seen = Seen()

    async def call() -> None:
        raise WrongAnswerError("b instead of a")

    await seen.note("paint", call())

    assert seen.failed == {"WRONG": 1}
    assert seen.examples == ["paint: WRONG: b instead of a"]


def test_trend_tells_growth_from_noise() -> None:
    noise = [(17 * place) % 7 - 3 for place in range(120)]

    assert trend([100.0 + each for each in noise]).level
    growing = trend([100.0 + each + place for place, each in enumerate(noise)])
    assert not growing.level
    assert growing.change == pytest.approx(0.5, abs=0.1)
    assert trend([100.0 + place / 100 for place in range(120)]).level  # sure, and too little to matter
