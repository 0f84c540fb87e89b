"""The models of this repository: one release, and what the README promises of them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Literal

import pytest

from services.captioning.items import CaptionItem
from services.classification.items import ImageItem
from services.generation import predictor as generation
from services.generation.items import PaintItem
from services.text import predictor as text
from shared.inference.model_directory import ModelDirectory
from shared.inference.predictor import RuntimeOptions

TASKS = ("text", "classification", "generation", "captioning")
ROOT = Path(__file__).parents[2] / "services"


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    """All four predictors, in fp32, which every machine has."""
    options = RuntimeOptions(precision="fp32")
    return {task: importlib.import_module(f"services.{task}.predictor").load(ROOT / task / "weights", options)
            for task in TASKS}  # fmt: skip


def paint(models: dict[str, Any], prompt: str, *seeds: int) -> list[bytes]:
    (encoding,) = models["text"].predict([prompt])
    return [
        painted.data
        for painted in models["generation"].predict([PaintItem(vector=encoding.vector, seed=seed) for seed in seeds])
    ]


def describe(models: dict[str, Any], picture: bytes, language: str) -> str:
    """Its likeliest caption."""
    item = ImageItem(image=picture, top_k=1, language=language, include_encoding=True)
    (seen,) = models["classification"].predict([item])
    ((caption, *_),) = models["captioning"].predict([CaptionItem(encoding=seen.encoding, language=language)])
    return str(caption.text)


def test_they_share_a_space_and_stay_within_the_size_limits() -> None:
    directories = [ModelDirectory.read(ROOT / task / "weights", task=task) for task in TASKS]
    assert len({directory.space for directory in directories}) == 1
    sizes = [directory.weights_path.stat().st_size for directory in directories]
    assert max(sizes) <= 15 * 2**20
    assert sum(sizes) <= 40_000_000


@pytest.mark.parametrize(
    ("prompt", "english", "chinese"),
    [
        ("一只黑猫", "a black cat", "一只黑猫"),  # in English, seed 1 is outlines of a cat that any colour may have
        ("a red car on the street", "a red car on the street", "街道上有一辆红色的汽车"),
        ("街道上有一辆红色的汽车", "a red car on the street", "街道上有一辆红色的汽车"),
        ("a blue fish underwater", "a blue fish underwater", "水下有一条蓝色的鱼"),
        ("a rocket in space", "a rocket in space", "太空中有一枚火箭"),
    ],
)
def test_a_painted_prompt_comes_back_as_its_words(
    models: dict[str, Any], prompt: str, english: str, chinese: str
) -> None:
    (picture,) = paint(models, prompt, 1)
    assert describe(models, picture, "en") == english
    assert describe(models, picture, "zh") == chinese


def test_own_labels_in_either_language_name_a_painted_picture(models: dict[str, Any]) -> None:
    (picture,) = paint(models, "a strawberry", 1)
    labels = models["text"].predict(["cat", "dog", "草莓", "太阳"])
    vectors = tuple(label.vector for label in labels)
    item = ImageItem(image=picture, top_k=9, language="", include_encoding=False, label_vectors=vectors)
    (seen,) = models["classification"].predict([item])
    assert len(seen.labels) == 4
    assert seen.labels[0].id == "2" and seen.labels[0].probability > 0.5


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_seed_is_the_same_file_alone_and_at_each_place_of_each_bucket(
    models: dict[str, Any], precision: Literal["fp32", "bf16"], threads: int
) -> None:
    """Whatever numbers of rows the warm-up found to be exact."""
    options = RuntimeOptions(precision=precision, threads=threads)
    generator = generation.load(ROOT / "generation" / "weights", options)
    (encoding,) = models["text"].predict(["a dog"])
    item = PaintItem(vector=encoding.vector, seed=7)
    (cold,) = generator.predict([item])
    generator.warmup()
    for size in generator.info.bucket_sizes:
        for place in range(size):
            batch = [PaintItem(vector=encoding.vector, seed=100 + other) for other in range(size)]
            batch[place] = item
            assert generator.predict(batch)[place] == cold


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_text_is_the_same_vector_alone_and_among_others(precision: Literal["fp32", "bf16"], threads: int) -> None:
    encoder = text.load(ROOT / "text" / "weights", RuntimeOptions(precision=precision, threads=threads))
    texts = [" ".join(["a small dog and 太阳"] * (1 + number % 9)) + f" {number}" for number in range(16)]
    cold = [encoder.predict([each])[0] for each in texts]
    encoder.warmup()
    assert [encoder.predict([each])[0] for each in texts] == cold
    assert encoder.predict(texts) == cold
    assert encoder.predict(texts[:7:-1]) == cold[:7:-1]
