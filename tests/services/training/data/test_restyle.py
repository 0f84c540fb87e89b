"""A picture in another style keeps its shape and its paper."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from services.training.data.augmentation import random_views
from services.training.data.restyle import STYLES, grey, one_ink, other_hues, outlines, random_style, silhouette

Style = Callable[[Tensor, Tensor], Tensor]


def disc(side: int = 32, count: int = 6) -> tuple[Tensor, Tensor]:
    """A red disc on white: pictures and their alpha."""
    axis = torch.linspace(-1, 1, side)
    alpha = (axis[:, None] ** 2 + axis[None, :] ** 2 < 0.4).float().expand(count, 1, -1, -1)
    red = torch.tensor([0.8, 0.1, 0.1])[:, None, None]
    return alpha * red + (1 - alpha), alpha


@pytest.mark.parametrize("style", STYLES)
def test_paper_stays_white_and_values_are_those_of_pictures(style: Style) -> None:
    pictures, alpha = disc()
    drawn = style(pictures, alpha).clamp(0, 1)
    assert drawn.shape == pictures.shape
    assert drawn[:, :, 0, 0].min() > 0.99
    assert (drawn - pictures).abs().amax() > 0.1 or style is other_hues


def test_each_style_is_what_it_says() -> None:
    torch.manual_seed(0)
    pictures, alpha = disc()
    middle = pictures.shape[-1] // 2
    grey_one = grey(pictures, alpha)
    assert torch.equal(grey_one[:, 0], grey_one[:, 2])
    assert outlines(pictures, alpha)[:, :, middle, middle].min() > 0.99  # inside there is no edge
    assert silhouette(pictures, alpha)[:, :, middle, middle].max() <= 0.35
    assert one_ink(pictures, alpha)[:, :, middle, middle].max() < 0.5


def test_other_hues_leave_greys_and_brightness() -> None:
    pictures, alpha = disc()
    greys = torch.full_like(pictures, 0.4)
    assert torch.allclose(other_hues(greys, alpha), greys, atol=1e-5)
    assert torch.allclose(other_hues(pictures, alpha).mean(dim=1), pictures.mean(dim=1), atol=1e-5)


def test_a_style_is_drawn_for_each_picture() -> None:
    torch.manual_seed(0)
    pictures, alpha = disc(count=40)
    drawn = random_style(pictures, alpha)
    assert len({tuple(one[:, 16, 16].tolist()) for one in drawn}) > 20


def test_only_the_last_views_are_restyled() -> None:
    pictures, alpha = disc(count=8)
    sided = torch.zeros(8, dtype=torch.bool)
    torch.manual_seed(0)
    plain = random_views(pictures, alpha, sided, 32)
    torch.manual_seed(0)
    some = random_views(pictures, alpha, sided, 32, restyled=8)
    assert not torch.allclose(plain, some)
    colourful = random_views(pictures, alpha, sided, 32, restyled=1)[:-1]
    assert ((colourful[:, 0] - colourful[:, 2]).amax(dim=(1, 2)) > 0.2).all()  # still red
