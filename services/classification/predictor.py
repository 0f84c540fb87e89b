"""Picture files to labels and points of the joint space, in the model process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.classification.config import ImageEncoderConfig
from services.classification.items import ClassifiedImage, ImageItem, LabelScore
from services.classification.labels import read_labels
from services.classification.model import EncodedImages, ImageEncoder
from services.classification.zero_shot import read_label_vectors, zero_shot_logits
from shared.codes import Reason
from shared.encodings import Encoding
from shared.errors import InvalidArgumentError
from shared.images import decode_square
from shared.inference.model_directory import ModelDirectory
from shared.inference.predictor import Failure, LabelName, Padding, RuntimeOptions
from shared.inference.runtime import Runtime, channels_last, resolve_runtime
from shared.inference.weights import load_weights

LABELS_FILE = "labels.json"


def load(directory: Path, options: RuntimeOptions) -> ClassificationPredictor:
    """Reads and verifies a model directory. Raises ConfigurationError, ModelDirectoryError among them."""
    runtime = resolve_runtime(options)
    model_directory = ModelDirectory.read(directory, task="classification")
    model_directory.verify()
    config = model_directory.config(ImageEncoderConfig)
    labels = read_labels(model_directory.file(LABELS_FILE), count=config.concepts, languages=model_directory.languages)
    model = ImageEncoder(config)
    load_weights(model, model_directory)
    return ClassificationPredictor(model_directory, model, config, labels, runtime)


class ClassificationPredictor:
    """Batches are padded with blank pictures to the next bucket size."""

    def __init__(
        self,
        directory: ModelDirectory,
        model: ImageEncoder,
        config: ImageEncoderConfig,
        labels: tuple[LabelName, ...],
        runtime: Runtime,
    ) -> None:
        self.info = replace(directory.info(), labels=labels)
        self.device = str(runtime)
        self._zero_shot_scale = directory.zero_shot_scale or model.log_scale.detach().float().exp().item()
        self.padding = Padding()
        self._model = channels_last(runtime.place(model))
        self._config = config
        self._runtime = runtime
        self._see = runtime.passes(self._forward)

    def warmup(self) -> None:
        """Runs every bucket size."""
        for size in self.info.bucket_sizes:
            self._see.warm(torch.zeros(size, self._config.pixels, self._config.pixels, 3, dtype=torch.uint8))

    @torch.inference_mode()
    def predict(self, batch: Sequence[ImageItem], /) -> list[ClassifiedImage | Failure]:
        """Labels, and an encoding where asked for; a Failure for a file or for labels that cannot be read."""
        labels = self._read_labels(batch)
        own = [labels.get(id(item.label_vectors)) for item in batch]
        decoded = [self._decode(item, each) for item, each in zip(batch, own, strict=True)]
        pictures = [pixels for pixels in decoded if not isinstance(pixels, Failure)]

        encoded = self._encode(pictures) if pictures else None
        self.padding = Padding(items=len(encoded.vectors) - len(pictures) if encoded else 0)

        answers: list[ClassifiedImage | Failure] = []
        row = 0
        for item, each, pixels in zip(batch, own, decoded, strict=True):
            if isinstance(pixels, Failure):
                answers.append(pixels)
            elif encoded is not None and not isinstance(each, Failure):
                answers.append(self._answer(item, each, encoded, row))
                row += 1
        return answers

    def _read_labels(self, batch: Sequence[ImageItem]) -> dict[int, Tensor | Failure]:
        """(L, V) of unit norm for each call that brought labels, by the identity of what its items share."""
        calls = {id(item.label_vectors): item.label_vectors for item in batch if item.label_vectors is not None}
        return {key: read_label_vectors(vectors, self._config.space_width) for key, vectors in calls.items()}

    def _decode(self, item: ImageItem, labels: Tensor | Failure | None) -> NDArray[np.uint8] | Failure:
        if isinstance(labels, Failure):
            return labels
        if labels is None and item.language and item.language not in self.info.languages:
            message = f"language is {item.language!r}; the model has labels in {', '.join(self.info.languages)}"
            return Failure(reason=Reason.LANGUAGE_UNKNOWN, message=message)
        try:
            return decode_square(item.image, self._config.pixels)
        except InvalidArgumentError as error:
            return Failure(reason=error.reason or Reason.IMAGE_DAMAGED, message=str(error))

    def _encode(self, pictures: list[NDArray[np.uint8]]) -> EncodedImages:
        """The answers as float32 on the CPU, rows of the padding included."""
        size = next(size for size in self.info.bucket_sizes if size >= len(pictures))
        blank = np.full_like(pictures[0], 255)
        vectors, tokens, logits = self._see(torch.from_numpy(np.stack(pictures + [blank] * (size - len(pictures)))))
        return EncodedImages(vectors=vectors, tokens=tokens, logits=logits)

    def _forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, H, W, 3) of 8 bits, which in this order is channels last -> float32 vectors, tokens and logits."""
        encoded = self._model(pixels.permute(0, 3, 1, 2).to(self._runtime.dtype) / 127.5 - 1)
        return encoded.vectors.float(), encoded.tokens.float(), encoded.logits.float()

    def _answer(
        self, item: ImageItem, labels: Tensor | None, encoded: EncodedImages, row: int
    ) -> ClassifiedImage | Failure:
        vector, tokens, logits = encoded.vectors[row], encoded.tokens[row], encoded.logits[row]
        if labels is not None:
            logits = zero_shot_logits(vector, labels, self._zero_shot_scale)
        if not all(torch.isfinite(tensor).all() for tensor in (vector, tokens.half(), logits)):
            return Failure(reason=Reason.MODEL_OUTPUT_INVALID, message="the image encoder's output is not finite")
        top = logits.softmax(dim=0).topk(min(item.top_k, len(logits)))
        scores = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        encoding = Encoding(
            space=self.info.space,
            vector=vector.numpy().astype("<f4").tobytes(),
            tokens=tokens.numpy().astype("<f2").tobytes(),
            token_width=tokens.shape[1],
        )
        return ClassifiedImage(
            labels=tuple(self._score(item, index, probability) for index, probability in scores),
            encoding=encoding if item.include_encoding else None,
        )

    def _score(self, item: ImageItem, index: int, probability: float) -> LabelScore:
        if item.label_vectors is not None:
            return LabelScore(id=str(index), text="", probability=probability)
        label = self.info.labels[index]
        return LabelScore(id=label.id, text=label.texts.get(item.language, ""), probability=probability)
