"""A picture is a function of vector and seed: whatever else is in the batch."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image

from services.generation.items import PaintedImage, PaintItem
from services.generation.predictor import GenerationPredictor, load
from shared.codes import Reason
from shared.inference.predictor import Failure, RuntimeOptions


def vector(seed: int, width: int = 32) -> bytes:
    drawn = np.random.default_rng(seed).standard_normal(width)
    return (drawn / np.linalg.norm(drawn)).astype("<f4").tobytes()


def file_of(answer: PaintedImage | Failure) -> bytes:
    assert isinstance(answer, PaintedImage), answer
    return answer.data


@pytest.fixture(scope="module", params=["fp32", "bf16"])
def predictor(tiny_models: dict[str, Path], request: pytest.FixtureRequest) -> GenerationPredictor:
    loaded = load(tiny_models["generation"], RuntimeOptions(device="cpu", precision=request.param))
    loaded.warmup()
    return loaded


def test_picture_is_a_png_of_the_stated_size(predictor: GenerationPredictor) -> None:
    (painted,) = predictor.predict([PaintItem(vector=vector(1), seed=7)])
    image = Image.open(io.BytesIO(file_of(painted)))
    assert isinstance(painted, PaintedImage)
    assert image.format == "PNG" and image.mode == "RGB"
    assert image.size == (painted.width, painted.height) == (32, 32)
    assert painted.pixel_sha256 == hashlib.sha256(image.tobytes()).hexdigest()


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP"])
def test_same_seed_has_the_same_pixels_before_any_coding(
    predictor: GenerationPredictor, file_format: Literal["JPEG", "WEBP"]
) -> None:
    coded = PaintItem(vector=vector(1), seed=7, file_format=file_format, quality=95)
    lossless, lossy = predictor.predict([PaintItem(vector=vector(1), seed=7), coded])
    assert isinstance(lossless, PaintedImage) and isinstance(lossy, PaintedImage)
    assert lossy.pixel_sha256 == lossless.pixel_sha256
    decoded = Image.open(io.BytesIO(lossy.data))
    assert decoded.format == file_format and decoded.size == (32, 32)
    difference = np.asarray(decoded).astype(int) - np.asarray(Image.open(io.BytesIO(lossless.data))).astype(int)
    assert abs(difference).mean() < 16


def test_same_seed_gives_the_same_pixels_in_every_place_of_every_batch(predictor: GenerationPredictor) -> None:
    item = PaintItem(vector=vector(1), seed=2**64 - 1)
    alone = file_of(predictor.predict([item])[0])
    for size in (2, 3, 4, 8):
        for place in range(size):
            batch = [PaintItem(vector=vector(9), seed=one) for one in range(size)]
            batch[place] = item
            assert file_of(predictor.predict(batch)[place]) == alone, (size, place)


def test_other_seeds_give_other_pictures(predictor: GenerationPredictor) -> None:
    painted = predictor.predict([PaintItem(vector=vector(1), seed=seed) for seed in range(4)])
    assert len({file_of(one) for one in painted}) == 4


def test_painting_leaves_torchs_random_state_alone(predictor: GenerationPredictor) -> None:
    before = torch.get_rng_state()
    predictor.predict([PaintItem(vector=vector(1), seed=5)])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (vector(1, width=16), "vector has 16 numbers; the model's space has 32"),
        (b"abc", "the model's space has 32"),
        (np.full(32, np.nan, "<f4").tobytes(), "not finite"),
        (np.zeros(32, "<f4").tobytes(), "is zero"),
    ],
)
def test_bad_vector_fails_alone(predictor: GenerationPredictor, bad: bytes, complaint: str) -> None:
    good = [PaintItem(vector=vector(1), seed=seed) for seed in range(3)]
    answers = predictor.predict([good[0], PaintItem(vector=bad, seed=1), good[1], good[2]])
    assert isinstance(answers[1], Failure) and answers[1].reason is Reason.ENCODING_INVALID
    assert complaint in answers[1].message
    kept = [file_of(answers[place]) for place in (0, 2, 3)]
    assert kept == [file_of(answer) for answer in predictor.predict(good)]


def test_output_that_is_not_a_number_is_an_internal_failure(tiny_models: dict[str, Path]) -> None:
    broken = load(tiny_models["generation"], RuntimeOptions(device="cpu", precision="fp32"))
    torch.nn.init.constant_(broken._render.model.page.to_planes.weight, float("nan"))
    (answer,) = broken.predict([PaintItem(vector=vector(1), seed=1)])
    assert isinstance(answer, Failure) and answer.reason is Reason.MODEL_OUTPUT_INVALID
