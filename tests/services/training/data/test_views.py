"""Views differ from their picture as far as asked and no further, and equal seeds give equal views."""

from __future__ import annotations

import pytest
import torch

from services.training.data.views import Augmentation
from shared.errors import ConfigurationError

SEEDS = [f"0:{index}" for index in range(6)]


def pictures() -> torch.Tensor:
    """(6, 3, 16, 16): a bright square on black, off the middle."""
    square = torch.full((6, 3, 16, 16), -1.0)
    square[:, :2, 2:9, 4:11] = 0.8
    return square


def test_views_without_augmentation_are_the_pictures() -> None:
    assert torch.equal(Augmentation().views(pictures(), SEEDS), pictures())


@pytest.mark.parametrize("name", ["noise", "blur", "crop", "colour"])
def test_each_option_changes_pictures_and_stays_in_range(name: str) -> None:
    views = Augmentation(**{name: 0.5}).views(pictures(), SEEDS)
    assert views.shape == (6, 3, 16, 16) and views.min() >= -1 and views.max() <= 1
    assert not torch.equal(views, pictures()) and not torch.equal(views[0], views[1])


def test_a_view_follows_from_its_seed_and_not_from_its_batch() -> None:
    augmentation = Augmentation(noise=0.1, blur=1.0, crop=0.3, colour=0.3)
    together = augmentation.views(pictures(), SEEDS)
    halves = [augmentation.views(pictures()[part], SEEDS[part]) for part in (slice(0, 3), slice(3, 6))]
    torch.testing.assert_close(together, torch.cat(halves), rtol=0, atol=1e-5)


def test_blur_keeps_the_mean_of_what_is_inside() -> None:
    blurred = Augmentation(blur=1.0).views(pictures(), SEEDS)
    torch.testing.assert_close(blurred.mean(dim=(2, 3)), pictures().mean(dim=(2, 3)), rtol=0, atol=0.02)


@pytest.mark.parametrize(("name", "value"), [("noise", -0.1), ("blur", 9.0), ("crop", 1.0), ("colour", float("nan"))])
def test_value_out_of_range_names_option_and_limit(name: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=f"--{name} {value}: expected 0 to "):
        Augmentation(**{name: value})
