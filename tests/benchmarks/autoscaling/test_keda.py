"""KEDA's part: activation, cooldown, and the HPA in between."""

from __future__ import annotations

from tests.benchmarks.autoscaling.hpa import DEFAULT
from tests.benchmarks.autoscaling.keda import ScaledObject


def scaled(least: int) -> ScaledObject:
    return ScaledObject(behavior=DEFAULT, min_replicas=least, max_replicas=10, cooldown_seconds=300)


def test_an_active_trigger_brings_the_first_replicas() -> None:
    assert scaled(0).poll(0, 0, [0.0, 0.1]) == 1
    assert scaled(3).poll(0, 0, [0.1]) == 3


def test_a_trigger_at_its_activation_value_is_not_active() -> None:
    assert scaled(0).poll(0, 0, [5.0], activation=5.0) == 0


def test_the_last_replicas_go_when_no_trigger_was_active_for_the_cooldown() -> None:
    found = scaled(0)
    assert found.poll(1000, 2, [0.1]) == 2
    assert found.poll(1300, 2, [0.0]) == 2
    assert found.poll(1301, 2, [0.0]) == 0


def test_with_a_least_number_of_replicas_nothing_goes_to_zero() -> None:
    assert scaled(2).poll(10_000, 2, [0.0]) == 2


def test_between_one_and_the_most_the_hpa_decides() -> None:
    found = scaled(0)
    assert found.sync(0, 0, [7]) == 0
    assert found.sync(15, 1, [3, 7]) == 5
    assert found.sync(30, 5, [50]) == 10
