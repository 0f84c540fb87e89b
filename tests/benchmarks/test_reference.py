"""The predictors that Diptych serves answer what the reference modules answer: the work that is compared is equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from services.classification.items import ImageItem
from services.generation.items import PaintItem
from shared.inference.predictor import RuntimeOptions
from tests.benchmarks.reference import predictors
from tests.benchmarks.reference.modules import MODULES

OPTIONS = RuntimeOptions(device="cpu", precision="fp32", threads=1)
NUMBERS = range(5)
"""A batch that is padded."""


def bare(task: str) -> tuple[list[Any], list[Any]]:
    """Inputs, and what the module alone makes of them."""
    module = MODULES[task]
    inputs = [module.make_input(number) for number in NUMBERS]
    return inputs, module.load("fp32", 1)(inputs)


def test_text_vectors_are_the_modules() -> None:
    inputs, outputs = bare("text")
    answers = predictors.load_text(Path(), OPTIONS).predict(inputs)
    for answer, output in zip(answers, outputs, strict=True):
        np.testing.assert_allclose(np.frombuffer(answer.vector, "<f4"), np.frombuffer(output, "<f4"), atol=1e-5)


def test_labels_are_the_modules() -> None:
    inputs, outputs = bare("classification")
    items = [ImageItem(image=image, top_k=5, language="en", include_encoding=False) for image in inputs]
    answers = predictors.load_classification(Path(), OPTIONS).predict(items)
    labels = [[(int(label.id), round(label.probability, 6)) for label in answer.labels] for answer in answers]
    assert labels == [[(label, round(value, 6)) for label, value in output] for output in outputs]


def test_pictures_are_the_modules() -> None:
    inputs, outputs = bare("generation")
    items = [PaintItem(vector=vector, seed=seed) for vector, seed in inputs]
    answers = predictors.load_generation(Path(), OPTIONS).predict(items)
    assert [answer.data[:24] for answer in answers] == [output[:24] for output in outputs]
