"""Training sees pictures as large and as sharp as services show them to a model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from services.training.data.augmentation import enlarged, resized
from services.training.data.pictogram_views import CHUNK, pictogram_views, served_pictures
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


def test_what_training_enlarges_is_nearly_what_is_served() -> None:
    pixels = tiny_pack().pixels[:4]
    (served,) = served_pictures(pixels, 128, torch.device("cpu"))
    drawn = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    off, before = ((each(drawn, 128) * 2 - 1 - served).abs().mean().item() for each in (enlarged, resized))
    assert off < before / 2


def test_any_picture_of_a_chunk_may_be_blurred() -> None:
    torch.manual_seed(0)
    pack = tiny_pack()
    rows = np.zeros(12, dtype=np.intp)
    blurred = torch.zeros(12)
    for _ in range(60):
        (views,) = pictogram_views(pack, rows, 64, torch.device("cpu"))  # noise: a blur makes it smoother by far
        roughness = views.diff(dim=3).abs().mean(dim=(1, 2, 3))
        blurred += roughness < 0.6 * roughness.max()
    assert blurred.min() > 0
