"""Estimates and their intervals, against what arithmetic says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from services.training.evaluation.bootstrap import calibration_error, difference, estimate, f1, mean, ratio


def test_interval_of_a_share_is_that_of_the_binomial() -> None:
    found = mean([1] * 300 + [0] * 700)
    spread = 1.96 * math.sqrt(0.3 * 0.7 / 1000)
    assert found.value == pytest.approx(0.3) and found.samples == 1000
    assert found.low == pytest.approx(0.3 - spread, abs=0.005) and found.high == pytest.approx(0.3 + spread, abs=0.005)


def test_equal_seeds_give_equal_intervals() -> None:
    values = np.random.default_rng(1).random(50)
    assert mean(values) == mean(values) != mean(values, seed=1)


def test_what_never_varies_has_an_interval_of_one_point() -> None:
    found = mean([1, 1, 1])
    assert (found.value, found.low, found.high) == (1, 1, 1)


def test_ratio_keeps_samples_paired() -> None:
    values = np.array([1.0, 2.0, 30.0])
    found = ratio(values / 2, values)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))


def test_difference_keeps_samples_paired() -> None:
    assert difference([3.0, 10.0], [2.0, 9.0]).low == pytest.approx(1)


def test_f1_counts_over_all_samples() -> None:
    found = f1([1, 1], [2, 1], [1, 2])  # precision 2/3, recall 2/3
    assert found.value == pytest.approx(2 / 3)


def test_ratio_to_nothing_is_no_number_and_does_not_fail() -> None:
    assert not math.isfinite(ratio([1.0], [0.0]).value)


def test_calibration_error_is_how_much_too_sure_answers_are() -> None:
    assert calibration_error([0.9, 0.9, 0.9, 0.9], [1, 1, 0, 0]).value == pytest.approx(0.4)
    assert calibration_error([0.5, 0.5], [1, 0]).value == pytest.approx(0)


def test_calibration_error_is_the_weighted_gap_of_the_bins() -> None:
    found = calibration_error([0.9, 0.9, 0.9, 0.9, 0.5, 0.5], [1, 1, 1, 0, 0, 0])
    assert found.value == pytest.approx((4 * 0.15 + 2 * 0.5) / 6)


def test_two_bins_do_not_make_good_for_one_another() -> None:
    assert calibration_error([0.25, 0.75], [1, 0]).value == pytest.approx(0.75)
    assert calibration_error([0.25, 0.75], [1, 0], bins=1).value == pytest.approx(0)


def test_edge_of_two_bins_is_in_the_upper_one_and_bounds_are_in_the_outer_ones() -> None:
    assert calibration_error([0.4, 0.5, 0.6], [0, 1, 0], bins=2).value == pytest.approx((0.4 + 0.1) / 3)
    assert calibration_error([0.0, 1.0], [0, 1]).value == 0


def test_calibration_error_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one sample, found none"):
        calibration_error([], [])


def test_calibration_error_of_several_answers_a_sample_is_over_all_answers() -> None:
    assert calibration_error([[0.9, 0.1], [0.9, 0.1]], [[1, 0], [1, 0]]).value == pytest.approx(0.1)


def test_interval_of_a_calibration_error_is_about_its_value() -> None:
    """Resamples of probabilities that are true are further from the truth than the sample, by chance alone."""
    sure = np.random.default_rng(1).random(400)
    found = calibration_error(sure, np.random.default_rng(2).random(400) < sure)
    assert 0 <= found.low < found.value - 0.01 and found.value + 0.01 < found.high


def test_nothing_cannot_be_estimated() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        estimate(np.zeros((0, 1)), lambda means: means[:, 0])
