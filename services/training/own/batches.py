"""Which pictures each step sees, and as which views: a function of seed and step, so that nothing need be kept."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from services.training.data.own_pictures import OwnPictures
from services.training.data.views import Augmentation
from services.training.processes import Processes


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One step's part of this process, and what the whole step is of."""

    pictures: Tensor
    """(b, 3, H, W) in [-1, 1]: views of the pictures of `rows`."""
    rows: list[int]
    """(b,) rows of the data, this process's share of `step_rows`."""
    step_rows: list[int]
    """(B,) rows of the whole step, of all processes."""


class Batches:
    """Each row once in every round of the data, each round in another order."""

    def __init__(
        self,
        data: OwnPictures,
        rows: NDArray[np.int64],
        *,
        batch: int,
        augmentation: Augmentation,
        seed: int,
        processes: Processes,
        device: torch.device,
    ) -> None:
        self.data, self.size = data, batch
        self._rows, self._augmentation, self._seed = rows.tolist(), augmentation, seed
        self.mine, self._device = processes.share_of(batch), device
        self._round = lru_cache(maxsize=2)(self._shuffled)

    def of(self, step: int) -> Batch:
        """The batch of `step`, from 0."""
        places = range(step * self.size, (step + 1) * self.size)
        count = len(self._rows)
        step_rows = [self._round(place // count)[place % count] for place in places]
        rows = step_rows[self.mine]
        seeds = [f"{self._seed}:{place}" for place in places[self.mine]]
        return Batch(
            pictures=self._augmentation.views(pixels(self.data, rows, self._device), seeds),
            rows=rows,
            step_rows=step_rows,
        )

    def _shuffled(self, number: int) -> list[int]:
        return random.Random(f"{self._seed}:{number}").sample(self._rows, len(self._rows))


def pixels(data: OwnPictures, rows: Sequence[int], device: torch.device, side: int | None = None) -> Tensor:
    """(B, 3, H, W) in [-1, 1], channels last; averaged down to `side` where it is smaller."""
    raw = torch.from_numpy(data.pixels[data.picture[list(rows)]]).to(device)
    pictures = raw.permute(0, 3, 1, 2).float() / 127.5 - 1
    if side is not None and side < pictures.shape[-1]:
        pictures = functional.interpolate(pictures, size=(side, side), mode="area")
    return pictures.contiguous(memory_format=torch.channels_last)


def same_meaning(data: OwnPictures, rows: Sequence[int], device: torch.device) -> Tensor:
    """(B, B) true where row i's caption fits row j's picture for sure: one picture, or one caption."""
    picture = torch.from_numpy(data.picture[list(rows)]).to(device)
    captions = {caption: index for index, caption in enumerate(dict.fromkeys(data.captions[row] for row in rows))}
    caption = torch.tensor([captions[data.captions[row]] for row in rows], device=device)
    return (picture[:, None] == picture[None, :]) | (caption[:, None] == caption[None, :])
