"""A picture in three parts is the picture in one pass, and what it lacks is not drawn."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from services.generation.config import PRESETS, GeneratorConfig
from services.generation.model import Generator
from services.generation.rendering import Renderer
from shared.inference.predictor import RuntimeOptions
from shared.inference.runtime import resolve_runtime

CONFIG = GeneratorConfig(**PRESETS["tiny"])  # type: ignore[arg-type]
SIZES = (1, 2, 4, 8)


class Counting(Generator):
    """Notes how many things each pass draws."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        self.drawn: list[int] = []

    def draw_things(self, contents: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        self.drawn.append(len(contents))
        return super().draw_things(contents, style, noise)


def model(*, presence: float) -> Counting:
    """presence: added to how likely things are."""
    torch.manual_seed(0)
    made = Counting(CONFIG).eval()
    with torch.no_grad():
        made.planner.to_rest.weight[1] *= 20  # so that noise decides
        made.planner.to_rest.bias[1] = presence
    return made


def renderer(generator: Generator) -> Renderer:
    runtime = resolve_runtime(RuntimeOptions(device="cpu", precision="fp32", threads=1))
    return Renderer(generator, runtime, microbatch=4, sizes=SIZES)


def inputs(rows: int) -> tuple[Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(rows)
    vectors = torch.randn(rows, CONFIG.space_width, generator=drawn)
    return torch.nn.functional.normalize(vectors), torch.randn(rows, CONFIG.noise_width, generator=drawn)


@pytest.mark.parametrize("presence", [-50.0, 0.0, 50.0])  # of no things, some, all
@pytest.mark.parametrize("rows", [1, 3, 7])
def test_parts_make_the_picture_of_the_whole(presence: float, rows: int) -> None:
    generator = model(presence=presence)
    with torch.inference_mode():
        whole = generator(*inputs(rows))
    assert torch.allclose(renderer(generator)(*inputs(rows)), whole, atol=1e-5)


def test_only_things_that_are_there_are_drawn() -> None:
    for presence in (-50.0, 0.0, 50.0):
        generator = model(presence=presence)
        with torch.inference_mode():
            there = int(generator.sketch(*inputs(7)).presence.sum())
        renderer(generator)(*inputs(7))
        assert sum(generator.drawn) == 4 * -(-there // 4)  # in passes of four
    assert there == 14  # both of seven


def test_warm_parts_paint_what_cold_ones_painted() -> None:
    painting = renderer(model(presence=0.0))
    cold = painting(*inputs(7))
    painting.warm(inputs)
    assert torch.equal(painting(*inputs(7)), cold)
    assert torch.equal(painting(*(each[3:4] for each in inputs(7))), cold[3:4])


def test_padding_is_what_passes_of_pictures_leave_empty() -> None:
    painting = renderer(model(presence=0.0))
    assert [painting.padding(count) for count in (0, 1, 4, 6)] == [0, 3, 0, 2]
