"""The model beside what Kubernetes publishes: the documentation's examples, the stories of KEP-853, and cases of the
controller's own tests."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.benchmarks.autoscaling.hpa import (
    DEFAULT,
    Behavior,
    HorizontalPodAutoscaler,
    Policy,
    ScalingRules,
    average_value,
    per_pod,
    value,
)

MINUTE = 60
DOWN_BY_POLICIES = (
    Policy(type="Pods", value=4, period_seconds=60),
    Policy(type="Percent", value=10, period_seconds=60),
)


def autoscaler(
    *, up: ScalingRules = DEFAULT.scale_up, down: ScalingRules = DEFAULT.scale_down, least: int = 1
) -> HorizontalPodAutoscaler:
    return HorizontalPodAutoscaler(
        behavior=Behavior(scale_up=up, scale_down=down), min_replicas=least, max_replicas=10_000
    )


def rules(*policies: Policy, window: int = 0) -> ScalingRules:
    return ScalingRules(stabilization_window_seconds=window, policies=policies)


def replicas(scaler: HorizontalPodAutoscaler, first: int, desired: Sequence[int], every: int = MINUTE) -> list[int]:
    """After each sync."""
    found = [first]
    for index, each in enumerate(desired):
        found.append(scaler.sync(index * every, found[-1], [each]))
    return found[1:]


def test_twice_the_desired_value_doubles_the_replicas_and_half_of_it_halves_them() -> None:
    assert per_pod([200.0] * 3, 100.0, 3) == 6
    assert per_pod([50.0] * 4, 100.0, 4) == 2


@pytest.mark.parametrize("measured", [91.0, 100.0, 110.0])
def test_nothing_happens_within_a_tenth_of_the_desired_value(measured: float) -> None:
    assert per_pod([measured] * 10, 100.0, 10) == 10
    assert average_value(10 * measured, 100.0, 10) == 10


def test_average_value_asks_for_the_total_over_the_target() -> None:
    assert average_value(8600, 2150, 3) == 4
    assert average_value(8600, 2867, 5) == 3


def test_value_counts_the_replicas_that_are_ready() -> None:
    assert value(8600, 4400, 1, 1) == 2
    assert value(8600, 4400, 3, 1) == 2  # two more are not ready
    assert value(4500, 4400, 3, 1) == 3


def test_numbers_that_are_whole_but_for_their_last_bits_are_whole() -> None:
    assert average_value(0.7 * 3, 0.1, 1) == 21


@pytest.mark.parametrize(
    ("measured", "target", "current", "unready", "missing", "expected"),
    [
        ([0.3, 0.5, 0.7], 0.3, 3, 0, 0, 5),  # scale up
        ([0.5, 0.7], 0.3, 3, 1, 0, 4),  # a pod that is not ready makes it less
        ([0.4], 0.3, 3, 2, 0, 3),  # two of them make it none
        ([1.2] * 10, 1.0, 11, 1, 0, 11),  # or bring it within the tolerance
        ([0.1, 0.3, 0.5, 0.25, 0.25], 0.5, 5, 0, 0, 3),  # scale down
        ([0.6], 1.0, 2, 0, 1, 2),  # a missing value counts as the target on the way down
        ([0.45], 0.5, 3, 1, 1, 3),
        ([2.0], 0.5, 3, 1, 1, 4),  # and as nothing on the way up
    ],
)
def test_pods_without_a_value_dampen_as_in_the_controllers_own_tests(
    measured: list[float], target: float, current: int, unready: int, missing: int, expected: int
) -> None:
    assert per_pod(measured, target, current, unready=unready, missing=missing) == expected


def test_by_default_four_pods_or_as_many_as_there_are_may_come_in_15_seconds() -> None:
    assert replicas(autoscaler(), 1, [100] * 5, every=15) == [5, 10, 20, 40, 80]


def test_replicas_that_came_within_a_period_count_against_its_limit() -> None:
    up = rules(Policy(type="Percent", value=100, period_seconds=60), window=0)
    assert replicas(autoscaler(up=up), 10, [100] * 5, every=15) == [20, 20, 20, 20, 40]


def test_a_percentage_of_few_still_lets_one_come() -> None:
    assert replicas(autoscaler(up=rules(Policy(type="Percent", value=10, period_seconds=60))), 3, [9] * 2) == [4, 5]


def test_by_default_everything_may_go_once_nothing_more_was_wanted_for_five_minutes() -> None:
    found = replicas(autoscaler(), 80, [80] + [10] * 21, every=15)
    assert found == [80] * 20 + [10, 10]


def test_80_replicas_go_by_a_tenth_and_below_40_by_four() -> None:
    found = replicas(autoscaler(down=rules(*DOWN_BY_POLICIES)), 80, [10] * 16)
    assert found[:2] == [72, 64]
    assert found[5:] == [40, 36, 32, 28, 24, 20, 16, 12, 10, 10, 10]


def test_the_smaller_policy_counts_where_min_is_selected() -> None:
    down = ScalingRules(
        stabilization_window_seconds=0,
        policies=(
            Policy(type="Percent", value=10, period_seconds=60),
            Policy(type="Pods", value=5, period_seconds=60),
        ),
        select_policy="Min",
    )
    assert replicas(autoscaler(down=down), 100, [10]) == [95]
    assert replicas(autoscaler(down=down), 20, [10]) == [18]


def test_disabled_scaling_does_not_happen() -> None:
    down = ScalingRules(stabilization_window_seconds=0, policies=(), select_policy="Disabled")
    assert replicas(autoscaler(down=down), 8, [1, 1, 9]) == [8, 8, 9]


def test_story_1_scales_up_tenfold() -> None:
    up = rules(Policy(type="Percent", value=900, period_seconds=60))
    assert replicas(autoscaler(up=up), 1, [1000] * 3) == [10, 100, 1000]


def test_story_2_removes_one_pod_in_ten_minutes() -> None:
    down = rules(Policy(type="Pods", value=1, period_seconds=600))
    assert replicas(autoscaler(down=down), 1000, [1] * 12) == [999] * 10 + [998] * 2


def test_story_3_scales_up_one_by_one() -> None:
    assert replicas(autoscaler(up=rules(Policy(type="Pods", value=1, period_seconds=60))), 1, [9] * 3) == [2, 3, 4]


def test_story_5_takes_the_highest_of_ten_minutes() -> None:
    down = rules(Policy(type="Pods", value=5, period_seconds=60), window=600)
    found = replicas(autoscaler(down=down), 10, [10, 9, 8, 9, 9, 8, 9, 8, 9, 8, 7])
    assert found == [10] * 10 + [9]


def test_story_6_takes_the_lowest_of_a_window_upwards() -> None:
    up = rules(Policy(type="Pods", value=20, period_seconds=60), window=330)  # the story's holds six recommendations
    assert replicas(autoscaler(up=up), 2, [2, 3, 19, 10, 3, 4, 7]) == [2] * 6 + [3]


def test_of_several_metrics_the_largest_proposal_counts() -> None:
    assert autoscaler().sync(0, 4, [3, 6, 5]) == 6


def test_bounds_hold_whatever_is_proposed() -> None:
    assert autoscaler(least=2).sync(0, 1, [1]) == 2
    scaler = HorizontalPodAutoscaler(behavior=DEFAULT, min_replicas=2, max_replicas=6)
    assert scaler.sync(0, 4, [50]) == 6
    assert scaler.sync(1000, 9, [1]) == 6
