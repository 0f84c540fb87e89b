"""The choice among replicas, with loads made up and chance seeded: shares can be checked to the call."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from shared.rpc import metadata
from shared.rpc.choice import choose
from shared.rpc.replica_load import REMEMBERED_SECONDS, ReplicaLoad

TERMS = ("", "interactive")
NOW = 1000.0


def _load(item_seconds: float | None = 0.01, *, queue_seconds: float = 0.0, in_flight: int = 0) -> ReplicaLoad:
    load = ReplicaLoad()
    load.in_flight = in_flight
    trailers: list[tuple[str, str | bytes]] = [(metadata.QUEUE_SECONDS, str(queue_seconds))]
    if item_seconds is not None:
        trailers.append((metadata.ITEM_SECONDS, str(item_seconds)))
    load.note(trailers, TERMS, NOW)
    return load


def _shares(loads: list[ReplicaLoad], calls: int = 3000) -> list[float]:
    """Of calls one after another, each ended before the next; the replicas tell nothing new."""
    chance = random.Random(1)
    chosen = Counter(choose(loads, NOW + number / calls, chance) for number in range(calls))
    return [chosen[index] / calls for index in range(len(loads))]


def test_only_replica_is_chosen() -> None:
    assert choose([_load()], NOW) == 0


def test_one_call_at_a_time_goes_round() -> None:
    assert _shares([_load(), _load(), _load()]) == pytest.approx([1 / 3] * 3, abs=0.02)


def test_two_replicas_take_turns() -> None:
    loads = [_load(), _load()]
    chosen = [choose(loads, NOW + number) for number in range(6)]
    assert chosen in ([0, 1, 0, 1, 0, 1], [1, 0, 1, 0, 1, 0])


def test_hair_of_difference_in_speed_is_none() -> None:
    assert _shares([_load(0.010), _load(0.0103), _load(0.0106)]) == pytest.approx([1 / 3] * 3, abs=0.02)


def test_slow_replica_gets_nothing_while_a_fast_one_is_idle() -> None:
    assert _shares([_load(), _load(), _load(), _load(0.04)])[3] == 0.0


def test_slow_replica_gets_calls_when_the_fast_one_is_four_times_as_busy() -> None:
    assert choose([_load(0.01, in_flight=3), _load(0.03, in_flight=0)], NOW) == 1
    assert choose([_load(0.01, in_flight=1), _load(0.03, in_flight=0)], NOW) == 0


def test_slowness_is_forgotten_so_that_a_replica_that_has_recovered_is_found() -> None:
    slow, fast = _load(0.04), _load()
    later = NOW + REMEMBERED_SECONDS + 1
    fast.note([(metadata.ITEM_SECONDS, "0.01")], TERMS, later)
    assert choose([slow, fast], NOW) == 1
    assert choose([slow, fast], later) == 0


def test_queue_that_others_filled_counts() -> None:
    assert choose([_load(queue_seconds=0.5), _load(in_flight=5)], NOW) == 1


def test_newcomer_gets_its_share_of_a_burst_and_not_all_of_it() -> None:
    loads = [_load(in_flight=20), _load(in_flight=20), _load(in_flight=20), _load(None)]
    chance = random.Random(1)
    for _ in range(100):
        loads[choose(loads, NOW, chance)].in_flight += 1
    assert sum(load.in_flight for load in loads) == 160
    assert loads[3].in_flight == pytest.approx(40, abs=2)
