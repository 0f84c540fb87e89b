"""The arithmetic of the load generator, and its loops against a server whose answers can be counted by eye."""

from __future__ import annotations

import asyncio
import itertools
import math

import pytest

from tests.benchmarks.load.client import Ending
from tests.benchmarks.load.loops import run
from tests.benchmarks.load.plan import Load, Seen, load_json, load_of, seen_json, seen_of
from tests.benchmarks.load.schedule import Arrivals, bursts, poisson
from tests.benchmarks.load.summary import percentile, summary

LOAD = Load(client="none", address="none", warm_seconds=0.05, seconds=0.4)


class SlowServer:
    """Answers after `seconds`, but refuses every call whose number is a multiple of ten."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.numbers: list[int] = []

    async def __call__(self, number: int, seconds: float | None) -> Ending:
        self.numbers.append(number)
        if number % 10 == 0:
            return Ending.REFUSED
        if seconds is not None and seconds < self.seconds:
            await asyncio.sleep(seconds)
            return Ending.EXPIRED
        await asyncio.sleep(self.seconds)
        return Ending.ANSWERED


def seen(*calls: tuple[Ending, float]) -> Seen:
    return Seen(
        endings=[ending for ending, _ in calls],
        seconds=[seconds for _, seconds in calls],
        late=[0.0] * len(calls),
        measured_seconds=2.0,
        cpu=0.25,
        server_cpu=1.5,
        others_cpu=0.0,
        failures=[],
    )


def test_percentile_is_the_nearest_rank() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert [percentile(values, percent) for percent in (1, 50, 99, 100)] == [1, 50, 99, 100]
    assert percentile([3.0], 50) == 3.0


def test_percentile_of_nothing_is_no_number() -> None:
    assert math.isnan(percentile([], 99))


def test_goodput_counts_answers_in_time_only() -> None:
    result = summary(
        seen(
            (Ending.ANSWERED, 0.4),
            (Ending.ANSWERED, 0.6),
            (Ending.REFUSED, 0.002),
            (Ending.EXPIRED, 0.5),
            (Ending.FAILED, 0.1),
        ),
        deadline_seconds=0.5,
    )
    assert (result.offered_per_second, result.answered_per_second) == (2.5, 0.5)
    assert (result.p50_ms, result.refusal_p50_ms) == (400.0, 2.0)
    assert (result.refused, result.expired, result.failed) == (0.2, 0.4, 1)


def test_without_a_deadline_every_answer_counts() -> None:
    result = summary(seen((Ending.ANSWERED, 0.4), (Ending.ANSWERED, 60.0)), deadline_seconds=None)
    assert result.answered_per_second == 1.0


@pytest.mark.parametrize("arrivals", [poisson, bursts])
def test_a_schedule_has_its_rate_and_is_the_same_again(arrivals: Arrivals) -> None:
    offsets = arrivals(200.0, 100.0, 3)
    assert offsets == sorted(offsets) == arrivals(200.0, 100.0, 3)
    assert offsets[0] >= 0 and offsets[-1] < 100
    assert len(offsets) == pytest.approx(20_000, rel=0.15)


def test_bursts_come_together() -> None:
    offsets = bursts(200.0, 10.0, seed=3)
    sizes = {len(list(burst)) for _, burst in itertools.groupby(offsets)}
    assert sizes == {50}


async def test_closed_loop_has_as_many_calls_under_way_as_callers() -> None:
    server = SlowServer(0.04)
    told = summary(await run(Load(**{**vars(LOAD), "callers": 8, "first_number": 1000}), server), None)
    assert told.answered_per_second <= 8 / 0.04
    assert told.p50_ms >= 40
    assert len(set(server.numbers)) == len(server.numbers)


async def test_open_loop_waits_for_nobody_and_counts_from_the_due_time() -> None:
    server = SlowServer(10.0)
    load = Load(**{**vars(LOAD), "rate": 200.0, "deadline_seconds": 0.2})
    told = await run(load, server)
    due = [offset for offset in poisson(200.0, 0.45, 0) if offset > 0.05]
    assert abs(len(told.endings) - len(due)) <= 1
    assert Ending.ANSWERED not in told.endings
    assert all(
        seconds >= 0.19 for ending, seconds in zip(told.endings, told.seconds, strict=True) if ending is Ending.EXPIRED
    )


async def test_what_a_client_raises_is_counted_and_told() -> None:
    async def broken(number: int, seconds: float | None) -> Ending:
        await asyncio.sleep(0.01)
        raise ConnectionError("nobody there")

    told = await run(Load(**{**vars(LOAD), "callers": 1}), broken)
    assert set(told.endings) == {Ending.FAILED}
    assert told.failures[0] == "ConnectionError: nobody there"


def test_loads_and_what_was_seen_cross_the_pipe() -> None:
    load = Load(client="a:b", address="c", arguments={"task": "text"}, callers=3, server_pids=[1, 2])
    assert load_of(load_json(load)) == load
    told = seen((Ending.ANSWERED, 0.4), (Ending.EXPIRED, 0.5))
    assert seen_of(seen_json(told)) == told
