"""A drawing that is put at its object's square covers what the object's box says is seen of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from services.generation.layers import place, stack
from services.training.data.scenes.sprites import Sprite, SpriteSet
from services.training.data.scenes.truth import SceneObject
from services.training.data.sources import STYLES
from services.training.generating.layouts import MARGIN, square
from services.training.generating.pages import picture_layers
from services.training.generating.scene_drawings import SIDE, fit
from services.training.generating.sources import ScenePages
from tests.services.training.generating.scenery import drawings, index, pool, sprites

PAGE = 128


def _sprite(height: int, width: int) -> Sprite:
    """A red block without any edge around."""
    picture = np.zeros((height, width, 4), np.uint8)
    picture[:, :, 0] = picture[:, :, 3] = 255
    return Sprite(kind="car", style="noto", verb=None, colour="red", paintable=True, plain=True, picture=picture)


def _object(box: tuple[float, float, float, float]) -> SceneObject:
    return SceneObject(kind="car", colour="red", verb=None, stance="ground", box=box, depth=0.0, visible=99,
                       mirrored=False, sprite=0)  # fmt: skip


def _extent(opacity: Tensor) -> tuple[float, ...]:
    """(H, W) in 0 to 1 -> x0, y0, x1, y1 of what is more there than not, in sides."""
    down, across = torch.nonzero(opacity > 0.5, as_tuple=True)
    edges = across.min(), down.min(), across.max() + 1, down.max() + 1
    return tuple(float(edge) / len(opacity) for edge in edges)


@pytest.mark.parametrize(("height", "width"), [(128, 128), (60, 120), (120, 60), (20, 30)])
def test_a_fitted_drawing_lies_in_the_middle_of_its_square_with_a_margin(height: int, width: int) -> None:
    ink, alpha = fit(_sprite(height, width).picture)
    assert ink.shape == (SIDE, SIDE, 3) and alpha.shape == (SIDE, SIDE)
    x0, y0, x1, y1 = _extent(torch.from_numpy(alpha.astype(np.float32)) / 255)
    longer = max(height, width)
    assert x1 - x0 == pytest.approx((1 - 2 * MARGIN) * width / longer, abs=1.5 / SIDE)
    assert y1 - y0 == pytest.approx((1 - 2 * MARGIN) * height / longer, abs=1.5 / SIDE)
    assert (x0 + x1, y0 + y1) == pytest.approx((1, 1), abs=1.5 / SIDE)
    assert ink[SIDE // 2, SIDE // 2].tolist() == [255, 0, 0] and ink[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize(("height", "width"), [(128, 128), (60, 120), (120, 60)])
def test_a_drawing_put_at_its_square_covers_the_box(height: int, width: int) -> None:
    """Boxes are in sides of the picture; this one lies off the middle, so that no turn or swap goes unseen."""
    one = _sprite(height, width)
    size = 0.004 * width, 0.004 * height
    box = (0.1, 0.3, 0.1 + size[0], 0.3 + size[1])
    alpha = torch.from_numpy(fit(one.picture)[1].astype(np.float32)) / 255
    boxes = torch.tensor([square(_object(box), SpriteSet(sprites=(one,)))])
    placed = place(alpha.expand(1, 4, -1, -1), boxes, torch.tensor([False]), PAGE)
    assert _extent(placed[0, 3]) == pytest.approx(box, abs=1.5 / PAGE)


def test_the_square_of_what_is_partly_hidden_is_no_smaller_than_what_is_seen_of_it_asks() -> None:
    """A wide car whose right half is hidden: its height still tells its size."""
    one = SpriteSet(sprites=(_sprite(60, 120),))
    whole, half = square(_object((0.2, 0.4, 0.6, 0.6)), one), square(_object((0.2, 0.4, 0.4, 0.6)), one)
    assert half[2] == pytest.approx(whole[2]) and half[:2] == pytest.approx((0.3, 0.5))


def test_scenes_put_together_from_their_layers_look_like_the_composed_ones(tmp_path: Path) -> None:
    pages = ScenePages(pool(), sprites(), drawings(tmp_path), index(), styles=STYLES, side=PAGE, seed=0)
    pictures, ink, layout, _ = pages.draw(len(pool()))
    layers = picture_layers(ink, layout, PAGE)
    covered = (layers[:, :, 3:] * layout.presence[:, :, None, None, None]).amax(dim=1) > 0.9  # (B, 1, H, W)
    painted = stack(torch.ones_like(pictures), layers, layout.depths, layout.presence)
    far = ((painted - pictures).abs().amax(dim=1, keepdim=True) > 0.2) & covered
    assert covered.float().mean() > 0.05
    assert far.sum() < 0.03 * covered.sum()
