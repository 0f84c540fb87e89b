"""A day of load: diurnal, noisy, with bursts and one flash crowd. In replicas' worth, so that services compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SECONDS = 86_400
BLOCK_SECONDS = 5
"""The step of a replay; scrapes and syncs come at multiples of it."""
FLASH_FACTOR = 10.0
_HOUR = 3600
_TROUGH, _PEAK = 1.5, 6.0
"""Replicas' worth, without bursts: at four in the morning, at four in the afternoon."""
_SLOW_NOISE, _FAST_NOISE = 0.05, 0.12
"""Relative standard deviations: of what changes over minutes, and from one second to the next."""
_BURSTS = 60
_BURST_FACTORS = (1.3, 2.5)
_BURST_SECONDS = (5, 60)


@dataclass(frozen=True, kw_only=True)
class Day:
    """Items that arrive, by blocks."""

    blocks: Sequence[Sequence[float]]
    """Of each second of a block."""
    totals: Sequence[float]
    peaks: Sequence[float]
    """The most of one second."""
    flash_at: int
    """The second in which the flash crowd begins."""


def day(capacity: float, *, seed: int, seconds: int = SECONDS, flash: bool = True) -> Day:
    """A day for replicas that serve `capacity` items a second each; the same for the same arguments.

    Args:
        seconds: how much of it, from midnight.
    """
    chance = np.random.default_rng(seed)
    time = np.arange(SECONDS)
    level = _TROUGH + (_PEAK - _TROUGH) * (0.5 - 0.5 * np.cos(2 * np.pi * (time / SECONDS - 4 / 24)))
    level = level * _drift(chance) * chance.gamma(_FAST_NOISE**-2, _FAST_NOISE**2, SECONDS)
    for _ in range(_BURSTS):
        begin, length = int(chance.integers(SECONDS)), int(chance.integers(*_BURST_SECONDS))
        level[begin : begin + length] *= chance.uniform(*_BURST_FACTORS)
    flash_at = 14 * _HOUR + int(chance.integers(600))
    if flash:
        level = level * _flash(time - flash_at)
    return from_seconds(chance.poisson(level * capacity)[:seconds].tolist(), flash_at=flash_at)


def from_seconds(items: Sequence[float], *, flash_at: int = 0) -> Day:
    """A day of the items that arrive in each second."""
    blocks = np.asarray(items, dtype=float).reshape(-1, BLOCK_SECONDS)
    return Day(
        blocks=blocks.tolist(),
        totals=blocks.sum(axis=1).tolist(),
        peaks=blocks.max(axis=1).tolist(),
        flash_at=flash_at,
    )


def _drift(chance: np.random.Generator) -> np.ndarray:
    """A random walk that is drawn back to 1, a step a minute."""
    walk = [0.0]
    for step in chance.normal(0.0, _SLOW_NOISE, SECONDS // 60):
        walk.append(0.9 * walk[-1] + (1 - 0.9**2) ** 0.5 * float(step))
    return 1 + np.interp(np.arange(SECONDS), 60 * np.arange(len(walk)), walk)


def _flash(since: np.ndarray) -> np.ndarray:
    """Ten times the load within 30 s, for 10 minutes; gone in a quarter of an hour."""
    rises, lasts, falls = 30, 600, 900
    return np.asarray(
        np.interp(since, [0, rises, rises + lasts, rises + lasts + falls], [1, FLASH_FACTOR, FLASH_FACTOR, 1])
    )
