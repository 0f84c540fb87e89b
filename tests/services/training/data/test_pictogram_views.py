"""Training sees pictures as large and as sharp as services show them to a model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from services.training.data.augmentation import random_views
from services.training.data.pictogram_views import CHUNK, served_pictures
from services.training.tiny import tiny_pack
from shared.images import decode_square, encode_image


@pytest.mark.parametrize("side", [32, 64, 128])
def test_served_pictures_are_what_a_service_makes_of_a_file(side: int) -> None:
    pixels = np.tile(tiny_pack().pixels, (4, 1, 1, 1))[: CHUNK + 3]
    (first, rest) = served_pictures(pixels, side, torch.device("cpu"))
    assert len(first) == CHUNK and len(rest) == 3
    for views, row in ((first, 0), (rest, -1)):
        file = encode_image(pixels[row])
        wanted = torch.from_numpy(decode_square(file, side).copy()).permute(2, 0, 1).float() / 127.5 - 1
        assert torch.equal(views[row], wanted)


def test_enlarged_views_are_nearer_to_what_is_served_than_bilinear_ones() -> None:
    torch.manual_seed(0)
    edge = np.full((40, 64, 64, 3), 255, dtype=np.uint8)
    edge[:, 20:44, 20:44] = 0
    (served,) = served_pictures(edge, 128, torch.device("cpu"))
    drawn = torch.from_numpy(edge).permute(0, 3, 1, 2).float() / 255
    views = random_views(drawn, torch.ones(40, 1, 64, 64), torch.ones(40, dtype=torch.bool), 128)
    assert float(_sharpness(served)[0]) > 1.1
    assert float(_sharpness(views).max()) > 1.1  # bilinear has at most half of the range from a pixel to the next


def _sharpness(pictures: torch.Tensor) -> torch.Tensor:
    """(B,) the largest step from a pixel to the next."""
    return torch.stack([pictures.diff(dim=axis).abs().amax(dim=(1, 2, 3)) for axis in (2, 3)]).amax(dim=0)
