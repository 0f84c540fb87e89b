"""Things are put into their boxes, the farthest first."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from services.generation.config import PRESETS, GeneratorConfig
from services.generation.layers import place, stack
from services.generation.model import Generator, Sketch


def _left_half(side: int = 16) -> torch.Tensor:
    """A layer whose left half is opaque and black: (1, 4, side, side)."""
    layer = torch.zeros(1, 4, side, side)
    layer[:, :3, :, : side // 2] = -1
    layer[:, 3, :, : side // 2] = 1
    return layer


def _boxes(*boxes: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor(boxes)


def test_a_box_of_the_whole_page_changes_nothing() -> None:
    layer = _left_half()
    placed = place(layer, _boxes((0.5, 0.5, 1.0)), torch.tensor([False]), 16)
    assert torch.allclose(placed, layer, atol=1e-5)


def test_a_mirrored_thing_faces_the_other_way() -> None:
    layer = _left_half()
    placed = place(layer, _boxes((0.5, 0.5, 1.0)), torch.tensor([True]), 16)
    assert torch.allclose(placed, layer.flip(3), atol=1e-5)


def test_a_small_box_holds_the_whole_thing_and_nothing_lies_outside() -> None:
    placed = place(torch.ones(1, 4, 16, 16), _boxes((0.75, 0.25, 0.5)), torch.tensor([False]), 16)
    assert placed[0, 3, 1:7, 9:15].min() > 0.99
    assert placed[0, 3, :, :7].abs().max() == 0
    assert placed[0, 3, 9:].abs().max() == 0


def test_lines_thinner_than_a_pixel_are_averaged_and_not_dropped() -> None:
    lines = torch.zeros(1, 4, 64, 64)
    lines[:, 3, :, ::4] = 1  # a quarter of the area
    placed = place(lines, _boxes((0.5, 0.5, 0.25)), torch.tensor([False]), 64)
    inside = placed[0, 3, 26:38, 26:38]
    assert (inside - 0.25).abs().max() < 0.02


def test_what_is_nearer_covers_what_is_farther_whatever_the_order_of_slots() -> None:
    page = torch.ones(1, 3, 4, 4)
    layers = torch.zeros(1, 2, 4, 4, 4)
    layers[:, :, 3] = 1
    layers[0, 0, :3] = torch.tensor([0.0, -1.0, -1.0])[:, None, None]  # red
    layers[0, 1, :3] = torch.tensor([-1.0, -1.0, 0.0])[:, None, None]  # blue
    there = torch.ones(1, 2)
    assert stack(page, layers, torch.tensor([[0.0, 1.0]]), there)[0, :, 0, 0].tolist() == [0, 0, 1]
    assert stack(page, layers, torch.tensor([[1.0, 0.0]]), there)[0, :, 0, 0].tolist() == [1, 0, 0]


def test_what_is_absent_is_not_painted() -> None:
    page = torch.full((1, 3, 4, 4), 0.5)
    layers = torch.zeros(1, 1, 4, 4, 4)
    layers[:, :, 3] = 1
    assert torch.equal(stack(page, layers, torch.zeros(1, 1), torch.zeros(1, 1)), page)


class _Watched(Generator):
    """Keeps what it was told of presence."""

    def lay(self, sketch: Sketch) -> Tensor:
        self.seen = sketch.presence
        return super().lay(sketch)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_thing_is_there_or_not_and_its_likelihood_still_has_a_gradient(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    generator = _Watched(GeneratorConfig(**PRESETS["tiny"])).to(dtype)  # type: ignore[arg-type]
    generator.planner.float()  # as it is served
    vectors = torch.nn.functional.normalize(torch.randn(64, generator.config.space_width))
    painted = generator.paint(vectors, torch.randn(64, generator.config.noise_width))
    assert set(generator.seen.flatten().tolist()) == {0.0, 1.0}
    painted.sum().backward()
    gradient = generator.planner.to_rest.weight.grad
    assert gradient is not None and gradient[1].abs().sum() > 0
