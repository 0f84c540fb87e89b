"""The heads of the image encoder, and how many cells become one answer."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from services.classification.config import PRESETS, ImageEncoderConfig
from services.classification.model import AttentionPool, ImageEncoder, smooth_maximum

HEADS = {"subgroup": 5, "background": 3, "objects": 7, "colour": 2, "style": 4}


def encoder(**changes: Any) -> ImageEncoder:
    torch.manual_seed(0)
    return ImageEncoder(ImageEncoderConfig(concepts=6, **{**PRESETS["tiny"], **changes})).eval()


def test_every_head_scores_its_labels_and_dense_heads_score_each_cell_too() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        seen = encoder(heads=HEADS, pooling="attention")(torch.rand(2, 3, 32, 32))
    assert {name: tuple(logits.shape) for name, logits in seen.heads.items()} == {n: (2, c) for n, c in HEADS.items()}
    assert {name: tuple(map_.shape) for name, map_ in seen.dense.items()} == {
        "objects": (2, 7, 4, 4),
        "colour": (2, 2, 4, 4),
    }
    assert seen.logits.shape == (2, 6)
    assert seen.tokens.shape == (2, 4, 16)
    numbers = [seen.logits, seen.vectors, *seen.heads.values(), *seen.dense.values()]
    assert {each.dtype for each in numbers} == {torch.float32}


def test_picture_of_128_pixels_has_64_tokens_of_256_numbers() -> None:
    with torch.inference_mode():
        seen = encoder(**PRESETS["scenes"], heads={"objects": 70})(torch.zeros(1, 3, 128, 128))
    assert seen.tokens.shape == (1, 64, 256)
    assert seen.vectors.shape == (1, 256)
    assert seen.dense["objects"].shape == (1, 70, 16, 16)


def test_model_without_further_heads_has_no_weights_for_them() -> None:
    names = set(encoder().state_dict())
    assert names < set(encoder(heads=HEADS, pooling="attention").state_dict())
    assert not any("heads" in name or "pool" in name for name in names)


@pytest.mark.parametrize("sharpness", [1.0, 1000.0])
def test_smooth_maximum_lies_between_mean_and_maximum_and_grows_sharp(sharpness: float) -> None:
    cells = torch.zeros(1, 1, 4, 4)
    cells[0, 0, 2, 1] = 8.0
    pooled = smooth_maximum(cells, torch.tensor(sharpness)).item()
    assert 0.5 < pooled < 8
    assert (pooled > 7.99) == (sharpness == 1000.0)
    assert smooth_maximum(torch.full((1, 1, 4, 4), -3.0), torch.tensor(sharpness)).item() == pytest.approx(-3.0)


def test_attention_knows_where_a_thing_is_and_the_mean_does_not() -> None:
    torch.manual_seed(0)
    pool, cells = AttentionPool(16, 4), torch.randn(1, 4, 16)
    turned = cells.flip(1)
    torch.testing.assert_close(cells.mean(dim=1), turned.mean(dim=1))
    assert (pool(cells) - pool(turned)).abs().max() > 0.01


@pytest.mark.parametrize("name", ["shape", "concept"])
def test_head_that_no_service_knows_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"heads: expected some of subgroup, .*, found {name}"):
        ImageEncoderConfig(concepts=6, heads={name: 3}, **PRESETS["tiny"])


def test_efficientnet_has_the_same_cells_as_a_residual_network() -> None:
    with torch.inference_mode():
        seen = encoder(**PRESETS["pretrained"], widths=(), depths=(), heads=HEADS)(torch.zeros(1, 3, 128, 128))
    assert seen.tokens.shape == (1, 64, 256)
    assert seen.vectors.shape == (1, 256)
    assert seen.dense["objects"].shape == (1, 7, 16, 16)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"widths": (8, 8, 8, 16)}, r"widths: expected 0 numbers, found \[8, 8, 8, 16\]"),
        ({"cell_width": 0}, "cell_width: expected at least 1, found 0"),
        (
            {"backbone": "residual", "widths": (8, 8, 8, 16), "depths": (1, 1, 1)},
            "cell_width: expected none, found 320",
        ),
        ({"depths": (1,)}, r"depths: expected 0 numbers, found \[1\]"),
        ({"pixels": 48}, "pixels: expected a multiple of 32, found 48"),
    ],
)
def test_efficientnet_of_another_shape_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ImageEncoderConfig(concepts=6, **{**PRESETS["pretrained"], **changes})
