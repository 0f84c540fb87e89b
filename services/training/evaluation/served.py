"""The four models as they are served: model directories behind their predictors, in this process, in full batches."""

from __future__ import annotations

import io
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.captioning.items import CaptionItem
from services.captioning.predictor import load as load_captioner
from services.classification.config import CONCEPT
from services.classification.items import ClassifiedImage, ImageItem, LabelScore
from services.classification.predictor import load as load_classifier
from services.generation.items import PaintItem
from services.generation.predictor import load as load_generator
from services.text.predictor import load as load_text_encoder
from shared.encodings import Encoding
from shared.errors import ConfigurationError
from shared.images import encode_image
from shared.inference.model_directory import FILE_NAME
from shared.inference.predictor import Failure, LoadPredictor, Predictor, RuntimeOptions

LOADS: Mapping[str, LoadPredictor] = {
    "text": load_text_encoder,
    "classification": load_classifier,
    "captioning": load_captioner,
    "generation": load_generator,
}
TRAINING_FACTS = ("steps", "pictures", "minutes", "seed", "commit")
"""What an evaluation repeats of model.toml's `[training]`, for curves of figures against training."""

Labels = Mapping[str, Sequence[LabelScore]]
"""By head, by falling probability."""

In = TypeVar("In")
Out = TypeVar("Out")


def model_directories(folder: Path | None) -> dict[str, Path]:
    """The directory of each task: below `folder`, or the embedded one."""
    services = Path(__file__).parents[2]
    return {task: folder / task if folder else services / task / "weights" for task in LOADS}


class ServedModels:
    """Predictors by task, each loaded when it is first asked."""

    def __init__(self, load: Callable[[str], Predictor[Any, Any]]) -> None:
        self._load = load

    @cached_property
    def text(self) -> Predictor[str, Encoding]:
        """Texts to encodings."""
        return self._load("text")

    @cached_property
    def classification(self) -> Predictor[ImageItem, ClassifiedImage]:
        """Picture files to labels and encodings."""
        return self._load("classification")

    @cached_property
    def captioning(self) -> Predictor[CaptionItem, Any]:
        """Encodings of pictures to captions."""
        return self._load("captioning")

    @cached_property
    def generation(self) -> Predictor[PaintItem, Any]:
        """Encodings and seeds to picture files."""
        return self._load("generation")

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, V) of unit norm."""
        return vectors(answers(self.text, texts))

    def concepts(self) -> set[str]:
        """Ids of those that the image encoder knows."""
        return {label.id for head in self.classification.info.heads if head.name == CONCEPT for label in head.labels}

    def classify(self, pictures: Iterable[NDArray[np.uint8]], *, top_k: int = 1) -> list[Labels]:
        """(H, W, 3) RGB each -> the likeliest labels of each head."""
        heads = tuple(head.name for head in self.classification.info.heads)
        return [
            {each.head: each.labels for each in seen.heads} for seen in self._see(pictures, top_k=top_k, heads=heads)
        ]

    def _see(
        self, pictures: Iterable[NDArray[np.uint8]], *, top_k: int, heads: tuple[str, ...] = ()
    ) -> Iterator[ClassifiedImage]:
        items = (
            ImageItem(image=encode_image(pixels), top_k=top_k, language="", include_encoding=not heads, heads=heads)
            for pixels in pictures
        )
        return answers(self.classification, items)

    def encode_pictures(self, pictures: Iterable[NDArray[np.uint8]]) -> list[Encoding]:
        """Their encodings, with tokens."""
        return [each.encoding for each in self._see(pictures, top_k=1) if each.encoding is not None]

    def caption(self, encodings: Iterable[Encoding], language: str) -> list[str]:
        """The likeliest caption of each picture."""
        items = (CaptionItem(encoding=encoding, language=language) for encoding in encodings)
        return [captions[0].text for captions in answers(self.captioning, items)]

    def paint(self, prompts: NDArray[np.float32], seeds: Iterable[int]) -> Iterator[NDArray[np.uint8]]:
        """(N, V) points of the joint space and N seeds -> (S, S, 3) RGB each."""
        items = (
            PaintItem(vector=vector.astype("<f4").tobytes(), seed=seed)
            for vector, seed in zip(prompts, seeds, strict=True)
        )
        for painted in answers(self.generation, items):
            yield np.asarray(Image.open(io.BytesIO(painted.data)).convert("RGB"))


def load_served(directories: Mapping[str, Path], options: RuntimeOptions) -> ServedModels:
    """Models read from their directories when they are asked. Their loading raises ModelDirectoryError."""
    return ServedModels(lambda task: LOADS[task](directories[task], options))


def answers(predictor: Predictor[In, Out], items: Iterable[In]) -> Iterator[Out]:
    """The predictor's answers in order, by its largest batches. Raises ConfigurationError for one that fails."""
    rest = iter(items)
    while batch := list(islice(rest, predictor.info.max_batch_size)):
        for answer in predictor.predict(batch):
            if isinstance(answer, Failure):
                raise ConfigurationError(f"model {predictor.info.name} gives no answer: {answer.message}")
            yield answer


def vectors(encodings: Iterable[Encoding]) -> NDArray[np.float32]:
    """(N, V)."""
    return np.stack([np.frombuffer(each.vector, "<f4") for each in encodings]).astype(np.float32)


def training_facts(directories: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """Name, version, digest, and how it was trained, of each model directory that is there."""
    found: dict[str, dict[str, Any]] = {}
    for task, folder in directories.items():
        try:
            stated = tomllib.loads((folder / FILE_NAME).read_text("utf-8"))
        except (OSError, ValueError):
            continue  # whoever needs it says what is wrong
        training = stated.get("training", {})
        found[task] = {
            "name": stated.get("name"),
            "version": stated.get("version"),
            "sha256": stated.get("weights", {}).get("sha256"),
            **{key: training[key] for key in TRAINING_FACTS if key in training},
        }
    return found
