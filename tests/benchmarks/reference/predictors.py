"""The reference modules as predictors of Diptych's services: thin, and in the model process only.

A batch is padded to its bucket with its first item, as the embedded models' batches are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from services.classification.items import ClassifiedImage, ImageItem, LabelScore
from services.generation.items import PaintedImage, PaintItem
from shared.encodings import Encoding
from shared.inference.predictor import HeadInfo, LabelName, ModelInfo, RuntimeOptions
from shared.inference.runtime import resolve_runtime
from tests.benchmarks.reference.classification import LABELS, Labels
from tests.benchmarks.reference.inputs import SPACE
from tests.benchmarks.reference.modules import MODULES, Run

BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16)
"""Close enough that a batch of any size pads with a third at most."""
GENERATED_PIXELS = 64


class ReferencePredictor:
    """A reference module behind the port to a model.

    Args:
        task: the module's name.
        options: device CPU.
        to_input: an item as the module wants it.
        to_output: the module's output as the servicer wants it.
        details: of the ModelInfo.
    """

    def __init__(
        self,
        task: str,
        options: RuntimeOptions,
        *,
        to_input: Callable[[Any], Any],
        to_output: Callable[[Any], Any],
        **details: Any,
    ) -> None:
        runtime = resolve_runtime(options)
        precision = "bf16" if runtime.dtype is torch.bfloat16 else "fp32"
        self.info = ModelInfo(
            name=f"reference-{task}",
            version="1",
            digest="0" * 64,
            space=SPACE,
            bucket_sizes=BUCKETS,
            **details,
        )
        self.device = str(runtime)
        self._run: Run = MODULES[task].load(precision, runtime.threads)
        self._make_input = MODULES[task].make_input
        self._to_input, self._to_output = to_input, to_output

    def warmup(self) -> None:
        """Runs every bucket size."""
        for size in self.info.bucket_sizes:
            self._run([self._make_input(number) for number in range(size)])

    def predict(self, batch: Sequence[Any], /) -> list[Any]:
        """The outputs of the batch, without those of its padding."""
        inputs = [self._to_input(item) for item in batch]
        size = next(size for size in self.info.bucket_sizes if size >= len(inputs))
        outputs = self._run(inputs + inputs[:1] * (size - len(inputs)))
        return [self._to_output(output) for output in outputs[: len(batch)]]


def load_text(directory: Path, options: RuntimeOptions) -> ReferencePredictor:
    """T; the directory is not read."""
    return ReferencePredictor(
        "text", options, to_input=str, to_output=lambda vector: Encoding(space=SPACE, vector=vector)
    )


def load_classification(directory: Path, options: RuntimeOptions) -> ReferencePredictor:
    """C; the directory is not read."""
    names = tuple(LabelName(id=str(label), texts={"en": f"label {label}"}) for label in range(LABELS))
    head = HeadInfo(name="concept", multi_label=False, labels=names)

    def to_input(item: ImageItem) -> bytes:
        return item.image

    def to_output(labels: Labels) -> ClassifiedImage:
        scores = (LabelScore(id=str(label), text=f"label {label}", probability=value) for label, value in labels)
        return ClassifiedImage(labels=tuple(scores), encoding=None)

    return ReferencePredictor(
        "classification", options, to_input=to_input, to_output=to_output, languages=("en",), heads=(head,)
    )


def load_generation(directory: Path, options: RuntimeOptions) -> ReferencePredictor:
    """G; the directory is not read."""

    def to_input(item: PaintItem) -> tuple[bytes, int]:
        return item.vector, item.seed

    def to_output(file: bytes) -> PaintedImage:
        return PaintedImage(data=file, pixel_sha256="", width=GENERATED_PIXELS, height=GENERATED_PIXELS)

    return ReferencePredictor(
        "generation", options, to_input=to_input, to_output=to_output, image_side=GENERATED_PIXELS
    )
