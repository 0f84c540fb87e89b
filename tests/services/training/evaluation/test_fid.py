"""Distances between sets of features, against what arithmetic says."""

from __future__ import annotations

import numpy as np
import pytest

from services.training.evaluation.fid import Features, frechet_distance, mean_pairwise_distance, precision_recall


def gaussian(count: int, *, seed: int, centre: float = 0.0, spread: float = 1.0, width: int = 4) -> Features:
    return np.random.default_rng(seed).normal(centre, spread, (count, width)).astype(np.float32)


def test_frechet_distance_of_gaussians_is_that_of_their_moments() -> None:
    found = frechet_distance(gaussian(20_000, seed=0), gaussian(20_000, seed=1, centre=1.0, spread=3.0))
    assert found.value == pytest.approx(4 * 1.0 + 4 * (3.0 - 1.0) ** 2, rel=0.03)  # |m|² + tr (s1 - s2)²
    assert found.low < found.value < found.high and found.samples == 20_000


def test_a_set_has_no_distance_to_itself() -> None:
    rows = gaussian(500, seed=0)
    assert frechet_distance(rows, rows).value == pytest.approx(0, abs=1e-6)


def test_sets_of_one_distribution_cover_each_other() -> None:
    precision, recall = precision_recall(gaussian(600, seed=0), gaussian(600, seed=1))
    assert precision.value > 0.8 and recall.value > 0.8


def test_what_lies_elsewhere_is_not_precise_and_recalls_nothing() -> None:
    precision, recall = precision_recall(gaussian(100, seed=0), gaussian(100, seed=1, centre=50.0))
    assert precision.value == recall.value == 0


def test_one_picture_again_and_again_is_precise_and_recalls_little() -> None:
    real = gaussian(200, seed=0)
    precision, recall = precision_recall(real, np.repeat(real[:1], 200, axis=0))
    assert precision.value == 1 and recall.value < 0.1


def test_mean_pairwise_distance_leaves_out_the_distance_to_oneself() -> None:
    assert mean_pairwise_distance(np.array([[0.0], [3.0], [6.0]], np.float32)) == pytest.approx(4)
