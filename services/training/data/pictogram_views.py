"""Views of a pack's pictures in chunks, on the training device."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from services.training.data.augmentation import random_views
from services.training.data.pack import Pack
from shared.images import squared

CHUNK = 128


def pictogram_views(
    pack: Pack, rows: NDArray[np.intp], pixels: int, device: torch.device, *, restyled: bool = False
) -> Iterable[Tensor]:
    """A random view of each of `rows` in order, (B, 3, pixels, pixels) in [-1, 1]; in other styles if `restyled`."""
    for chunk in torch.from_numpy(rows).split(CHUNK):
        drawn = torch.from_numpy(pack.pixels[chunk]).to(device).permute(0, 3, 1, 2).float() / 255
        alpha = torch.from_numpy(pack.alpha[chunk])[:, None].to(device).float() / 255
        sided = torch.from_numpy(pack.sided[chunk])
        yield random_views(drawn, alpha, sided, pixels, restyled=len(chunk) if restyled else 0)


def served_pictures(pixels: NDArray[np.uint8], side: int, device: torch.device) -> Iterable[Tensor]:
    """(N, H, W, 3) RGB -> (B, 3, side, side) in [-1, 1], as services hand pictures of that size to a model."""
    for first in range(0, len(pixels), CHUNK):
        squares = [np.asarray(squared(Image.fromarray(one), side)) for one in pixels[first : first + CHUNK]]
        yield torch.from_numpy(np.stack(squares)).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
