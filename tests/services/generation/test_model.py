"""What a seed decides, and that training may pass through what is decided."""

from __future__ import annotations

from dataclasses import replace

import torch

from services.generation.config import PRESETS, GeneratorConfig
from services.generation.model import Generator, chosen, drawn

CONFIG = GeneratorConfig(**PRESETS["tiny"])  # type: ignore[arg-type]


def test_styles_come_as_often_as_they_are_likely() -> None:
    torch.manual_seed(0)
    likely = torch.tensor([0.6, 0.3, 0.1])
    found = drawn(likely.log().expand(20_000, 3), torch.randn(20_000, 3))
    assert torch.allclose(torch.bincount(found, minlength=3) / 20_000, likely, atol=0.02)


def test_a_style_that_is_named_is_the_style_for_any_seed_however_rare_its_noise() -> None:
    sure = torch.tensor([[0.0, 30.0, 0.0]]).expand(4, 3)
    noise = torch.tensor([[9.0, -9.0, 0.0], [-9.0, -9.0, -9.0], [0.0, 0.0, 0.0], [40.0, -40.0, 40.0]])
    assert drawn(sure, noise).tolist() == [1, 1, 1, 1]


def test_rows_are_chosen_as_often_as_they_are_likely_and_the_gradient_is_the_softmaxs() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([0.5, 0.3, 0.2]).log().expand(20_000, 3).clone().requires_grad_(True)
    rows = chosen(logits, torch.randn(20_000))
    assert set(rows.detach().unique().tolist()) == {0.0, 1.0}
    assert torch.allclose(rows.detach().mean(dim=0), torch.tensor([0.5, 0.3, 0.2]), atol=0.02)
    rows[:, 0].sum().backward()
    assert logits.grad is not None and (logits.grad[:, 0] > 0).all() and (logits.grad[:, 1] < 0).all()


def test_a_row_is_chosen_for_any_noise() -> None:
    rows = chosen(torch.zeros(3, 5), torch.tensor([-50.0, 0.0, 50.0]))
    assert rows.argmax(dim=1).tolist() == [0, 2, 4] and rows.sum(dim=1).tolist() == [1, 1, 1]


def test_things_are_there_or_not_and_yet_a_gradient_says_which_should_be() -> None:
    torch.manual_seed(0)
    generator = Generator(CONFIG)
    vectors = torch.nn.functional.normalize(torch.randn(3, CONFIG.space_width))
    noise = torch.randn(3, CONFIG.noise_width)
    painted = generator.paint(vectors, noise)
    sketch = generator.sketch(vectors, noise)
    there = (sketch.presence > 0.5).float()
    assert torch.allclose(painted, generator.lay(replace(sketch, presence=there)), atol=1e-6)
    painted.square().mean().backward()
    gradient = generator.planner.to_rest.weight.grad
    assert gradient is not None and gradient[1].abs().sum() > 0


def test_only_what_may_be_mirrored_is() -> None:
    torch.manual_seed(1)
    generator = Generator(CONFIG).eval()
    vector = torch.nn.functional.normalize(torch.randn(1, CONFIG.space_width))
    one = torch.zeros(1, CONFIG.noise_width)
    other = one.clone()
    looks = other[:, CONFIG.noise_width - 8 * (CONFIG.slots + 1) :].view(1, CONFIG.slots + 1, 8)
    looks[:, :, 0] = 1e-4  # the sign alone: the painter hardly sees it
    with torch.no_grad():
        generator.planner.to_rest.bias[1] = 9.0  # all things are there
        generator.planner.to_reversible.bias.fill_(-9.0)
        assert torch.allclose(generator(vector, one), generator(vector, other), atol=1e-3)
        generator.planner.to_reversible.bias.fill_(9.0)
        assert not torch.allclose(generator(vector, one), generator(vector, other), atol=1e-3)


def test_pictures_are_within_bounds_for_any_vector() -> None:
    torch.manual_seed(2)
    generator = Generator(CONFIG).eval()
    with torch.no_grad():
        painted = generator(torch.nn.functional.normalize(torch.randn(4, CONFIG.space_width)) * 100,
                            torch.randn(4, CONFIG.noise_width) * 6)  # fmt: skip
    assert painted.shape == (4, 3, CONFIG.pixels, CONFIG.pixels) and painted.isfinite().all()
    assert painted.min() >= -1 and painted.max() <= 1


def test_the_built_in_shape_stays_within_fifteen_mebibytes() -> None:
    built_in = Generator(GeneratorConfig(**PRESETS["scenes"]))  # type: ignore[arg-type]
    assert 2 * sum(value.numel() for value in built_in.state_dict().values()) < 14.95 * 2**20
