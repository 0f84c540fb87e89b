"""Simulated models whose answers tell their input, so that each answer can be checked against its own question.

A text and a picture file are points made of the SHA-256 of their bytes; a picture of a point and a seed has the pixels
of the digest of both; a caption of a point is its digest in words. They sleep instead of computing, need no torch, and
many of them fit on a small machine.
"""

from __future__ import annotations

import hashlib
import struct
import time
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gateway.png import Picture, encode_png
from services.captioning.items import CaptionItem, ScoredCaption
from services.classification.items import ClassifiedImage, ImageItem, LabelScore
from services.generation.items import PaintedImage, PaintItem
from shared.encodings import Encoding
from shared.inference.predictor import HeadInfo, LabelName, ModelInfo, RuntimeOptions

SPACE = "echo"
SIDE = 2
"""Of a painted picture, in pixels."""
BATCH_SECONDS = 0.002
ITEM_SECONDS = 0.0005
INFO = ModelInfo(
    name="echo",
    version="1",
    digest="0" * 64,
    space=SPACE,
    bucket_sizes=(1, 2, 4, 8, 16),
    languages=("en",),
    heads=(HeadInfo(name="concept", multi_label=False, labels=(LabelName(id="echo", texts={"en": "echo"}),)),),
    image_side=SIDE,
)


def point(data: bytes) -> bytes:
    """32 numbers in [0, 1), float32: exact, since each is a byte over 256."""
    return array("f", (byte / 256 for byte in hashlib.sha256(data).digest())).tobytes()


def pixels(vector: bytes, seed: int) -> bytes:
    """RGB of the picture of a point and a seed."""
    return hashlib.sha256(vector + struct.pack("<Q", seed)).digest()[: 3 * SIDE * SIDE]


def pixel_sha256(prompt: str, seed: int) -> str:
    """What a picture of this prompt must say."""
    return hashlib.sha256(pixels(point(prompt.encode()), seed)).hexdigest()


def caption(vector: bytes) -> str:
    """What is said of a point."""
    return hashlib.sha256(vector).hexdigest()


def label(image: bytes) -> str:
    """The id of the only class that a picture file is of."""
    return hashlib.sha256(image).hexdigest()[:16]


def _encode(text: str) -> Encoding:
    return Encoding(space=SPACE, vector=point(text.encode()))


def _classify(item: ImageItem) -> ClassifiedImage:
    """Of the caller's labels the one that has the picture file's point is certain."""
    vector = point(item.image)
    if item.label_vectors is None:
        labels: tuple[LabelScore, ...] = (LabelScore(id=label(item.image), text="echo", probability=1.0),)
    else:
        scores = [
            LabelScore(id=str(at), text="", probability=float(own == vector))
            for at, own in enumerate(item.label_vectors)
        ]
        labels = tuple(sorted(scores, key=lambda score: -score.probability)[: item.top_k])
    return ClassifiedImage(
        labels=labels, encoding=Encoding(space=SPACE, vector=vector) if item.include_encoding else None
    )


def _paint(item: PaintItem) -> PaintedImage:
    rgb = pixels(item.vector, item.seed)
    rows = [rgb[: 3 * SIDE], rgb[3 * SIDE :]]
    return PaintedImage(
        data=encode_png(Picture(width=SIDE, height=SIDE, rows=rows)),
        pixel_sha256=hashlib.sha256(rgb).hexdigest(),
        width=SIDE,
        height=SIDE,
    )


def _describe(item: CaptionItem) -> tuple[ScoredCaption, ...]:
    return (ScoredCaption(text=caption(item.encoding.vector), score=-1.0),)


ANSWERS: dict[str, Callable[[Any], Any]] = {
    "text": _encode,
    "classification": _classify,
    "generation": _paint,
    "captioning": _describe,
}
"""By service, from an item to its answer."""


class EchoPredictor:
    """Sleeps as long as a batch takes, and answers."""

    info = INFO
    device = "cpu asleep"

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        self._answer = answer

    def warmup(self) -> None:
        """There is nothing to warm up."""

    def predict(self, batch: Sequence[Any], /) -> list[Any]:
        """One answer an item."""
        time.sleep(BATCH_SECONDS + ITEM_SECONDS * len(batch))
        return [self._answer(item) for item in batch]


def load_text(directory: Path, options: RuntimeOptions) -> EchoPredictor:
    """A LoadPredictor, as the others below; nothing is read."""
    return EchoPredictor(ANSWERS["text"])


def load_classification(directory: Path, options: RuntimeOptions) -> EchoPredictor:
    """Picture files of any bytes."""
    return EchoPredictor(ANSWERS["classification"])


def load_generation(directory: Path, options: RuntimeOptions) -> EchoPredictor:
    """PNG files, whatever format is asked for."""
    return EchoPredictor(ANSWERS["generation"])


def load_captioning(directory: Path, options: RuntimeOptions) -> EchoPredictor:
    """One caption a picture."""
    return EchoPredictor(ANSWERS["captioning"])
