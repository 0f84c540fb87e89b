"""What bf16 costs the embedded models against fp32: the tolerances that services/README.md states.

bf16 keeps 8 bits of a number, so that single steps differ by up to 0.4 %. CPUs without bf16 in hardware emulate it,
with the same rounding.
"""

from __future__ import annotations

import importlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from services.captioning.items import CaptionItem
from services.classification.items import ImageItem
from services.generation.items import PaintItem
from shared.inference.predictor import RuntimeOptions

TASKS = ("text", "classification", "generation", "captioning")
ROOT = Path(__file__).parents[2] / "services"
LABELS = json.loads((ROOT / "classification/weights/labels.json").read_text("utf-8"))
PROMPTS = [f"a {label['en']} on the beach" for label in LABELS["objects"][::4]] + [
    label["en"] for label in LABELS["concept"][::32]
]
"""Scenes, and things by themselves."""


def load(precision: str) -> dict[str, Any]:
    options = RuntimeOptions(device="cpu", precision=precision)  # type: ignore[arg-type]
    return {
        task: importlib.import_module(f"services.{task}.predictor").load(ROOT / task / "weights", options)
        for task in TASKS
    }


def run(predictor: Any, items: list[Any]) -> list[Any]:
    most = predictor.info.max_batch_size
    return [answer for first in range(0, len(items), most) for answer in predictor.predict(items[first : first + most])]


@pytest.fixture(scope="module")
def fp32() -> dict[str, Any]:
    return load("fp32")


@pytest.fixture(scope="module")
def bf16() -> dict[str, Any]:
    return load("bf16")


@pytest.fixture(scope="module")
def paintings(fp32: dict[str, Any]) -> list[Any]:
    """What each precision is then shown, painted in fp32."""
    encodings = run(fp32["text"], PROMPTS)
    return [PaintItem(vector=each.vector, seed=seed) for seed, each in enumerate(encodings)]


@pytest.fixture(scope="module")
def pictures(fp32: dict[str, Any], paintings: list[Any]) -> list[ImageItem]:
    painted = run(fp32["generation"], paintings)
    return [ImageItem(image=each.data, top_k=1, language="en", include_encoding=True) for each in painted]


def cosines(one: list[Any], other: list[Any]) -> NDArray[np.float32]:
    """Of encodings, which have unit norm, pairwise."""
    vectors = [np.stack([np.frombuffer(each.vector, "<f4") for each in several]) for several in (one, other)]
    return (vectors[0] * vectors[1]).sum(axis=1)  # type: ignore[no-any-return]


def pixels(painted: Any) -> NDArray[np.int16]:
    """0 to 255."""
    return np.asarray(Image.open(io.BytesIO(painted.data)), np.int16)


def test_texts_stay_where_they_are(fp32: dict[str, Any], bf16: dict[str, Any]) -> None:
    found = cosines(run(fp32["text"], PROMPTS), run(bf16["text"], PROMPTS))
    assert found.min() >= 0.9999


def test_pictures_stay_where_they_are_and_keep_their_label(
    fp32: dict[str, Any], bf16: dict[str, Any], pictures: list[ImageItem]
) -> None:
    exact, rounded = (run(models["classification"], pictures) for models in (fp32, bf16))
    found = cosines([each.encoding for each in exact], [each.encoding for each in rounded])
    same = [one.labels[0].id == other.labels[0].id for one, other in zip(exact, rounded, strict=True)]
    assert found.min() >= 0.995 and found.mean() >= 0.999
    assert np.mean(same) >= 0.85  # painted pictures: many look like several things, and none of them much
    for one, other in zip(exact, rounded, strict=True):
        assert one.labels[0].probability == pytest.approx(other.labels[0].probability, abs=0.08)


def test_painted_pixels_are_hardly_others(fp32: dict[str, Any], bf16: dict[str, Any], paintings: list[Any]) -> None:
    exact, rounded = (run(models["generation"], paintings) for models in (fp32, bf16))
    off = np.array([np.abs(pixels(one) - pixels(other)).mean() for one, other in zip(exact, rounded, strict=True)])
    assert off.mean() <= 0.3 and off.max() <= 1.0


def test_captions_stay_the_same(fp32: dict[str, Any], bf16: dict[str, Any], pictures: list[ImageItem]) -> None:
    seen = run(fp32["classification"], pictures)
    items = [CaptionItem(encoding=each.encoding, language=language) for each in seen for language in ("en", "zh")]
    exact, rounded = (run(models["captioning"], items) for models in (fp32, bf16))
    same = [one[0].text == other[0].text for one, other in zip(exact, rounded, strict=True)]
    assert np.mean(same) >= 0.95
