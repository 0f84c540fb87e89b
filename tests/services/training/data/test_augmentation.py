"""Random views leave a drawing what it is."""

from __future__ import annotations

import torch

from services.training.data.augmentation import random_views


def test_what_has_sides_is_never_mirrored_and_others_are_half_the_time() -> None:
    torch.manual_seed(0)
    pictures = torch.zeros(200, 3, 32, 32)
    pictures[:, 0, :, :16] = pictures[:, 2, :, 16:] = 1  # red on the left, blue on the right
    sided = torch.arange(200) < 100
    views = random_views(pictures, torch.ones(200, 1, 32, 32), sided, 32)
    redness = (views[:, 0] - views[:, 2]).mean(dim=1)  # (B, columns)
    leaning = (redness * torch.linspace(-1, 1, 32)).sum(dim=1)  # below 0 where red is left of blue
    mirrored = leaning > 0
    assert not mirrored[sided].any()
    assert 30 < mirrored[~sided].sum() < 70
