"""Predictors whose answers can be checked by eye: a picture is its colour, and so is a text."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from services.captioning.items import CaptionItem, ScoredCaption
from services.classification.items import ClassifiedImage, HeadScores, ImageItem, LabelScore
from services.generation.items import PaintedImage, PaintItem
from services.training.evaluation.served import ServedModels
from shared.encodings import Encoding
from shared.images import encode_image
from shared.inference.predictor import HeadInfo, LabelName, ModelInfo

SIDE = 32


def info(**more: Any) -> ModelInfo:
    return ModelInfo(name="fake", version="0", digest="", space="colours", bucket_sizes=(4,), **more)


class Fake:
    """What all have."""

    info = info()
    device = "none"

    def warmup(self) -> None:
        """There is nothing to warm."""


class FakeTexts(Fake):
    """A text's vector is a hash of its characters; that of `means[text]` where it is a translation."""

    def __init__(self, means: Mapping[str, Sequence[float]]) -> None:
        self.means = means

    def predict(self, batch: Sequence[str], /) -> list[Encoding]:
        return [encoding(self.means.get(text, [len(text) % 7 + 1, 5, 0.5])) for text in batch]


class FakeClassifier(Fake):
    """A picture's vector is its mean colour; its concept is `red` or `blue`, whichever it has more of."""

    info = info(
        heads=(
            HeadInfo(
                name="concept",
                multi_label=False,
                labels=(LabelName(id="red", texts={}), LabelName(id="blue", texts={})),
            ),
        )
    )

    def predict(self, batch: Sequence[ImageItem], /) -> list[ClassifiedImage]:
        return [self._answer(np.asarray(Image.open(io.BytesIO(item.image))).astype(np.float64)) for item in batch]

    def _answer(self, pixels: np.ndarray) -> ClassifiedImage:
        colour = pixels.mean(axis=(0, 1))
        name = "red" if colour[0] > colour[2] else "blue"
        labels = (LabelScore(id=name, text=name, probability=0.75),)
        heads = (HeadScores(head="concept", labels=labels),)
        return ClassifiedImage(labels=labels, encoding=encoding(colour), heads=heads)


class FakeCaptioner(Fake):
    """Every picture's caption is the same."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts

    def predict(self, batch: Sequence[CaptionItem], /) -> list[tuple[ScoredCaption, ...]]:
        return [(ScoredCaption(text=self.texts[item.language], score=0.0),) for item in batch]


class FakePainter(Fake):
    """A picture of one colour, that of the vector; every eighth seed gets it right, the others are darker."""

    info = info(image_side=SIDE)

    def predict(self, batch: Sequence[PaintItem], /) -> list[PaintedImage]:
        return [self._answer(np.frombuffer(item.vector, "<f4"), item.seed) for item in batch]

    def _answer(self, vector: np.ndarray, seed: int) -> PaintedImage:
        colour = (255 * np.abs(vector[:3]) * (1 if seed % 8 == 5 else [0.2, 1, 1])).clip(0, 255)
        pixels = np.broadcast_to(colour.astype(np.uint8), (SIDE, SIDE, 3)).copy()
        return PaintedImage(data=encode_image(pixels), pixel_sha256="", width=SIDE, height=SIDE)


def encoding(vector: Sequence[float] | np.ndarray) -> Encoding:
    """Of unit norm."""
    numbers = np.asarray(vector, np.float64)
    unit = (numbers / np.linalg.norm(numbers)).astype("<f4")
    return Encoding(space="colours", vector=unit.tobytes(), tokens=b"", token_width=1)


def fakes(**predictors: Any) -> ServedModels:
    """Models by task; one that is not given must not be asked."""
    given = {"classification": FakeClassifier(), "generation": FakePainter(), **predictors}
    return ServedModels(given.__getitem__)
