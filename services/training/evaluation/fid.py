"""How alike two sets of pictures are, by their features: FID, and precision and recall."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.training.evaluation.bootstrap import SEED, Estimate, mean, percentiles

RESAMPLES = 40
NEIGHBOURS = 3
CHUNK = 512

Features = NDArray[np.float32]


def frechet_distance(real: Features, other: Features, *, seed: int = SEED) -> Estimate:
    """Fréchet Inception distance (Heusel et al. 2017, arXiv:1706.08500, equation 6), here of (N, D) and (M, D).

    |m1 - m2|² + tr(C1) + tr(C2) - 2 tr((C1 C2)^½); the last trace is the sum of the roots of the eigenvalues of
    C1^½ C2 C1^½.

    It is biased upwards, the more the fewer pictures: only values of equal numbers of pictures compare, such as the
    real-versus-real value beside. A resample of `other` repeats pictures, which raises it like having fewer of them:
    the interval is that of the resamples, moved by what they are above the value in the mean.
    """
    rng = np.random.default_rng(seed)
    mean_real, covariance = _moments(real)
    values, axes = np.linalg.eigh(covariance)
    root = (axes * np.sqrt(values.clip(min=0))) @ axes.T

    def distance(rows: Features) -> float:
        mean_other, other_covariance = _moments(rows)
        mixed = np.sqrt(np.linalg.eigvalsh(root @ other_covariance @ root).clip(min=0)).sum()
        gap = mean_real - mean_other
        return float(gap @ gap + np.trace(covariance) + np.trace(other_covariance) - 2 * mixed)

    value = distance(other)
    drawn = np.array([distance(other[rng.integers(len(other), size=len(other))]) for _ in range(RESAMPLES)])
    return percentiles(value, drawn - drawn.mean() + value, samples=len(other))


def _moments(rows: Features) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (D,) and covariance (D, D)."""
    centre = rows.mean(axis=0, dtype=np.float64)
    moved = rows - centre
    return centre, moved.T @ moved / (len(rows) - 1)


def precision_recall(real: Features, painted: Features) -> tuple[Estimate, Estimate]:
    """Improved precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991, equation 2), k = 3.

    Precision: the share of painted pictures that lie within the reach of a real one, which is the distance to its third
    nearest fellow. Recall: the same with the roles exchanged. The intervals keep the reaches as they are.
    """
    return mean(_covered(painted, real)), mean(_covered(real, painted))


def _covered(points: Features, manifold: Features) -> NDArray[np.bool_]:
    """(N,) true for points within the reach of any point of the manifold."""
    reach = np.concatenate(
        [np.partition(part, NEIGHBOURS, axis=1)[:, NEIGHBOURS] for part in _squared_distances(manifold, manifold)]
    )  # (M,); the nearest is the point itself
    return np.concatenate([(part <= reach).any(axis=1) for part in _squared_distances(points, manifold)])


def _squared_distances(points: Features, others: Features) -> list[Features]:
    """(CHUNK, M) each."""
    norms = (others**2).sum(axis=1)
    return [
        (part**2).sum(axis=1)[:, None] + norms - 2 * part @ others.T
        for part in (points[first : first + CHUNK] for first in range(0, len(points), CHUNK))
    ]


def mean_pairwise_distance(features: Features) -> float:
    """The mean Euclidean distance of (N, D)'s pairs: how different pictures of one prompt are."""
    count = len(features)
    squared = np.concatenate(_squared_distances(features.astype(np.float64), features.astype(np.float64)))
    return float(np.sqrt(squared.clip(min=0)).sum() / (count * (count - 1)))
