"""The four services without torch, `python -m tests.end_to_end.light text`: for tests of what goes on around a model.

All is the product's own but the predictors: they read model.toml, and answer what their input's hash says. torch takes
two seconds of a core to import, and such a test starts services again and again.
"""

from __future__ import annotations

import hashlib
import importlib
import math
import sys
from array import array
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_type_hints

from gateway.png import Picture, encode_png
from services.captioning.items import CaptionItem, ScoredCaption
from services.classification.config import CONCEPT, ImageEncoderConfig
from services.classification.items import ClassifiedImage, ImageItem, LabelScore
from services.classification.labels import read_labels
from services.generation.config import GeneratorConfig
from services.generation.items import PaintedImage, PaintItem
from services.text.config import TextEncoderConfig
from shared.encodings import Encoding
from shared.entrypoint import run_server
from shared.inference.model_directory import ModelDirectory
from shared.inference.predictor import HeadInfo, RuntimeOptions


def unit_vector(data: bytes, width: int) -> bytes:
    """`width` float32 of unit norm, little-endian, by the hash of `data`."""
    numbers = [byte - 127.5 for byte in hashlib.shake_128(data).digest(width)]
    length = math.hypot(*numbers)
    return array("f", [number / length for number in numbers]).tobytes()


class _Light:
    device = "cpu light"

    def __init__(self, directory: ModelDirectory) -> None:
        self.info = directory.info()

    def warmup(self) -> None:
        """Nothing is cold."""


class LightText(_Light):
    """A text's vector is its hash."""

    def __init__(self, directory: ModelDirectory) -> None:
        super().__init__(directory)
        self._width = directory.config(TextEncoderConfig).space_width

    def predict(self, batch: Sequence[str], /) -> list[Encoding]:
        return [Encoding(space=self.info.space, vector=unit_vector(text.encode(), self._width)) for text in batch]


class LightClassification(_Light):
    """A picture's vector is its hash; all labels are as likely, and the first ones are told."""

    def __init__(self, directory: ModelDirectory) -> None:
        super().__init__(directory)
        self._config = config = directory.config(ImageEncoderConfig)
        counts = {CONCEPT: config.concepts}
        labels = read_labels(directory.file("labels.json"), counts=counts, languages=directory.languages)[CONCEPT]
        self.info = replace(self.info, heads=(HeadInfo(name=CONCEPT, multi_label=False, labels=labels),))

    def predict(self, batch: Sequence[ImageItem], /) -> list[ClassifiedImage]:
        return [ClassifiedImage(labels=self._labels(item), encoding=self._encoding(item)) for item in batch]

    def _labels(self, item: ImageItem) -> tuple[LabelScore, ...]:
        if item.label_vectors is None:
            names = [(label.id, label.texts.get(item.language, "")) for label in self.info.labels]
        else:
            names = [(str(index), "") for index in range(len(item.label_vectors))]
        return tuple(LabelScore(id=one, text=text, probability=1 / len(names)) for one, text in names[: item.top_k])

    def _encoding(self, item: ImageItem) -> Encoding | None:
        if not item.include_encoding:
            return None
        config = self._config
        tokens = bytes(2 * config.token_width * (config.pixels // 16) ** 2)  # float16 zeros
        vector = unit_vector(item.image, config.space_width)
        return Encoding(space=self.info.space, vector=vector, tokens=tokens, token_width=config.token_width)


class LightGeneration(_Light):
    """A picture is of one colour, by the hash of vector and seed."""

    def __init__(self, directory: ModelDirectory) -> None:
        super().__init__(directory)
        self.info = replace(self.info, image_side=directory.config(GeneratorConfig).pixels)

    def predict(self, batch: Sequence[PaintItem], /) -> list[PaintedImage]:
        return [self._paint(item) for item in batch]

    def _paint(self, item: PaintItem) -> PaintedImage:
        side = self.info.image_side
        colour = hashlib.sha256(item.vector + item.seed.to_bytes(8, "little")).digest()[:3]
        data = encode_png(Picture(width=side, height=side, rows=[colour * side] * side))
        digest = hashlib.sha256(colour * side * side).hexdigest()
        return PaintedImage(data=data, pixel_sha256=digest, width=side, height=side)


class LightCaptioning(_Light):
    """As many captions as are asked for."""

    def predict(self, batch: Sequence[CaptionItem], /) -> list[tuple[ScoredCaption, ...]]:
        return [
            tuple(ScoredCaption(text=f"picture {number}", score=-0.1 * number) for number in range(item.candidates))
            for item in batch
        ]


LIGHT: dict[str, type[_Light]] = {
    "text": LightText,
    "classification": LightClassification,
    "generation": LightGeneration,
    "captioning": LightCaptioning,
}


def _load(task: str, folder: Path, options: RuntimeOptions) -> _Light:
    directory = ModelDirectory.read(folder, task=task)
    directory.verify()
    return LIGHT[task](directory)


load_text = partial(_load, "text")
load_classification = partial(_load, "classification")
load_generation = partial(_load, "generation")
load_captioning = partial(_load, "captioning")


def main() -> None:
    """The service that the first argument names."""
    name = sys.argv.pop(1)
    serve = importlib.import_module(f"services.{name}.__main__").serve
    settings = get_type_hints(serve)["settings"]
    run_server(f"{__spec__.name} {name}", settings, partial(serve, load=f"tests.end_to_end.light:load_{name}"))


if __name__ == "__main__":
    main()
