"""Estimates with their intervals: 95 %, by the percentile bootstrap (Efron 1979), seeded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 1000
CONFIDENCE = 0.95
SEED = 0

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Means of columns, (R, K), to one number a row, (R,)."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A measured number, and what other samples of the same size would likely have shown."""

    value: float
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    samples: int
    """What was drawn: pictures, scenes, captions or prompts."""

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def estimate(columns: ArrayLike, statistic: Statistic, *, seed: int = SEED, biased: bool = False) -> Estimate:
    """A statistic of columns' means, with its interval.

    Args:
        columns: (N, K): what was counted of each of N samples, such as its true positives and its errors.
        statistic: of the means. A resample draws N samples with replacement, all columns of a sample together, so that
            what was measured on the same sample stays paired.
        biased: of a statistic from 0 on whose resamples are above it in the mean: they are moved back by as much.

    Returns: not a number where the statistic is none, such as a ratio to nothing. Raises ValueError without samples.
    """
    table = np.asarray(columns, dtype=np.float64)
    if table.ndim != 2 or not len(table):
        raise ValueError(f"columns: expected at least one sample of numbers, found shape {table.shape}")
    rng = np.random.default_rng(seed)
    count = len(table)
    drawn_rows = (rng.integers(count, size=count) for _ in range(RESAMPLES))
    shares = np.stack([np.bincount(rows, minlength=count) for rows in drawn_rows]) / count  # (R, N)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(table.mean(axis=0, keepdims=True))[0])
        drawn = statistic(shares @ table)  # (R,)
    return percentiles(value, (drawn - drawn.mean() + value).clip(min=0) if biased else drawn, samples=count)


def percentiles(value: float, drawn: NDArray[np.float64], *, samples: int) -> Estimate:
    """The interval from statistics of resamples; those that are no numbers are left out."""
    finite = drawn[np.isfinite(drawn)]
    if not len(finite):
        return Estimate(value=value, low=value, high=value, samples=samples)
    low, high = np.quantile(finite, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return Estimate(value=value, low=float(low), high=float(high), samples=samples)


def mean(values: ArrayLike, *, seed: int = SEED) -> Estimate:
    """The mean of (N,) values, such as 1 for each right answer and 0 for each wrong one."""
    return estimate(np.asarray(values, dtype=np.float64)[:, None], lambda means: means[:, 0], seed=seed)


def ratio(values: ArrayLike, others: ArrayLike, *, seed: int = SEED) -> Estimate:
    """The mean of (N,) values over the mean of (N,) others of the same samples."""
    columns = np.stack((np.asarray(values, np.float64), np.asarray(others, np.float64)), axis=1)
    return estimate(columns, lambda means: means[:, 0] / means[:, 1], seed=seed)


def difference(values: ArrayLike, others: ArrayLike, *, seed: int = SEED) -> Estimate:
    """The mean of (N,) values less the mean of (N,) others of the same samples."""
    return mean(np.asarray(values, np.float64) - np.asarray(others, np.float64), seed=seed)


def f1(true_positives: ArrayLike, said: ArrayLike, true: ArrayLike, *, seed: int = SEED) -> Estimate:
    """Micro-averaged F1 = 2 TP / (said + true) over (N,) samples' counts."""
    columns = np.stack([np.asarray(each, np.float64) for each in (true_positives, said, true)], axis=1)
    return estimate(columns, lambda means: 2 * means[:, 0] / (means[:, 1] + means[:, 2]), seed=seed)


def calibration_error(confidence: ArrayLike, right: ArrayLike, *, bins: int = 15, seed: int = SEED) -> Estimate:
    """Expected calibration error (Guo et al. 2017, arXiv:1706.04599, equation 3) of (N,) or (N, L) probabilities.

    The mean distance, over equally wide bins by confidence, between how sure the answers were and how many were right:
    of a head with softmax the probability of its first label, and whether that is right; of one with sigmoids the
    probability of every label, and whether it fits. What lies on the edge of two bins is in the upper one.
    A sample is a row, with all its L answers. Chance alone makes distances, in a resample once more than in the sample:
    the interval is that of the resamples, moved by what they are above the value in the mean. Raises ValueError
    without samples.
    """
    sure, correct = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    if not len(sure):
        raise ValueError("confidence: expected at least one sample, found none")
    sure, correct = sure.reshape(len(sure), -1), correct.reshape(len(sure), -1)
    places = np.minimum((sure * bins).astype(np.int64), bins - 1)
    gaps = np.zeros((len(sure), bins))
    np.add.at(gaps, (np.arange(len(sure))[:, None], places), (sure - correct) / sure.shape[1])
    return estimate(gaps, lambda means: np.abs(means).sum(axis=1), seed=seed, biased=True)
