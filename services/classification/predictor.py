"""Picture files to labels and points of the joint space, in the model process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.classification.config import CONCEPT, DENSE_HEADS, ImageEncoderConfig
from services.classification.ensemble import Ensemble, Member, joint_info, require_same_labels
from services.classification.items import CONTENT, ClassifiedImage, HeadScores, ImageItem, LabelScore
from services.classification.labels import read_labels
from services.classification.model import ImageEncoder
from services.classification.zero_shot import read_label_vectors, zero_shot_logits
from shared.codes import Reason
from shared.encodings import Encoding
from shared.errors import InvalidArgumentError, ModelDirectoryError
from shared.images import decode_square
from shared.inference.model_directory import FILE_NAME, ModelDirectory
from shared.inference.predictor import Failure, LabelName, Padding, RuntimeOptions
from shared.inference.runtime import Runtime, channels_last, resolve_runtime
from shared.inference.weights import load_weights

LABELS_FILE = "labels.json"
PLAIN = "plain"
"""Id of the background of a drawing that is no scene."""
LIKELY = 0.5
"""Of objects that CONTENT names, the least probability, but for the likeliest."""


def load(directory: Path, options: RuntimeOptions) -> ClassificationPredictor:
    """Reads and verifies the model directories. Raises ConfigurationError, ModelDirectoryError among them."""
    runtime = resolve_runtime(options)
    members = [read_member(directory, 1.0), *(read_member(each.directory, each.weight) for each in options.ensemble)]
    require_same_labels(members)
    return ClassificationPredictor(members, runtime)


def read_member(directory: Path, weight: float) -> Member:
    """One model directory. Raises ModelDirectoryError."""
    model_directory = ModelDirectory.read(directory, task="classification")
    model_directory.verify()
    config = model_directory.config(ImageEncoderConfig)
    labels = read_labels(
        model_directory.file(LABELS_FILE),
        counts={CONCEPT: config.concepts, **config.heads},
        languages=model_directory.languages,
    )
    if unknown := sorted(model_directory.temperature.keys() - labels.keys()):
        message = f"serving.temperature.{unknown[0]}: expected a head of {', '.join(labels)}"
        raise ModelDirectoryError(f"{directory / FILE_NAME}: {message}")
    model = ImageEncoder(config)
    load_weights(model, model_directory)
    return Member(directory=model_directory, config=config, labels=labels, model=model, weight=weight)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What the forward pass said of the pictures, float32 on the CPU, rows of the padding included."""

    vectors: Tensor
    tokens: Tensor
    heads: Mapping[str, Tensor]
    """Probabilities (B, N) by head."""


class ClassificationPredictor:
    """Batches are padded with blank pictures to the next bucket size."""

    def __init__(self, members: Sequence[Member], runtime: Runtime) -> None:
        first = members[0]
        self.info = joint_info(members)
        self.device = str(runtime)
        self._zero_shot_scale = first.directory.zero_shot_scale or first.model.log_scale.detach().float().exp().item()
        self._space_width = first.config.space_width
        self._labels: Mapping[str, Sequence[LabelName]] = {head.name: head.labels for head in self.info.heads}
        self.padding = Padding()
        self._model = channels_last(runtime.place(Ensemble(members)))
        self._runtime = runtime
        self._see = runtime.passes(self._forward)

    def warmup(self) -> None:
        """Runs every bucket size."""
        for size in self.info.bucket_sizes:
            self._see.warm(*(torch.zeros(size, side, side, 3, dtype=torch.uint8) for side in self._model.sides))

    @torch.inference_mode()
    def predict(self, batch: Sequence[ImageItem], /) -> list[ClassifiedImage | Failure]:
        """Labels, and an encoding where asked for; a Failure for a file or for labels that cannot be read."""
        labels = self._read_labels(batch)
        own = [labels.get(id(item.label_vectors)) for item in batch]
        decoded = [self._decode(item, each) for item, each in zip(batch, own, strict=True)]
        pictures = [pixels for pixels in decoded if not isinstance(pixels, Failure)]

        seen = self._look_at(pictures) if pictures else None
        self.padding = Padding(items=len(seen.vectors) - len(pictures) if seen else 0)

        answers: list[ClassifiedImage | Failure] = []
        row = 0
        for item, each, pixels in zip(batch, own, decoded, strict=True):
            if isinstance(pixels, Failure):
                answers.append(pixels)
            elif seen is not None and not isinstance(each, Failure):
                answers.append(self._answer(item, each, seen, row))
                row += 1
        return answers

    def _read_labels(self, batch: Sequence[ImageItem]) -> dict[int, Tensor | Failure]:
        """(L, V) of unit norm for each call that brought labels, by the identity of what its items share."""
        calls = {id(item.label_vectors): item.label_vectors for item in batch if item.label_vectors is not None}
        return {key: read_label_vectors(vectors, self._space_width) for key, vectors in calls.items()}

    def _decode(self, item: ImageItem, labels: Tensor | Failure | None) -> list[NDArray[np.uint8]] | Failure:
        """The picture at each side that the model wants."""
        if isinstance(labels, Failure):
            return labels
        if labels is None and item.language and item.language not in self.info.languages:
            message = f"language is {item.language!r}; the model has labels in {', '.join(self.info.languages)}"
            return Failure(reason=Reason.LANGUAGE_UNKNOWN, message=message)
        try:
            return [decode_square(item.image, side) for side in self._model.sides]
        except InvalidArgumentError as error:
            return Failure(reason=error.reason or Reason.IMAGE_DAMAGED, message=str(error))

    def _look_at(self, pictures: list[list[NDArray[np.uint8]]]) -> _Seen:
        size = next(size for size in self.info.bucket_sizes if size >= len(pictures))
        blank = [np.full_like(each, 255) for each in pictures[0]]
        filled = pictures + [blank] * (size - len(pictures))
        vectors, tokens, *heads = self._see(*(torch.from_numpy(np.stack(each)) for each in zip(*filled, strict=True)))
        return _Seen(vectors=vectors, tokens=tokens, heads=dict(zip(self._model.heads, heads, strict=True)))

    def _forward(self, *pixels: Tensor) -> tuple[Tensor, ...]:
        """(B, H, W, 3) of 8 bits a side, which in this order is channels last -> float32 vectors, tokens, heads."""
        encoded, heads = self._model(*(each.permute(0, 3, 1, 2).to(self._runtime.dtype) / 127.5 - 1 for each in pixels))
        return encoded.vectors.float(), encoded.tokens.float(), *heads.values()

    def _answer(self, item: ImageItem, labels: Tensor | None, seen: _Seen, row: int) -> ClassifiedImage | Failure:
        vector, tokens = seen.vectors[row], seen.tokens[row]
        rows = {head: each[row] for head, each in seen.heads.items()}
        asked = [self._head(name, rows) for name in item.heads or (CONCEPT,)]
        if labels is not None:
            told = [zero_shot_logits(vector, labels, self._zero_shot_scale).softmax(dim=0)]
        else:
            told = [rows[head] for head in asked]
        if not all(torch.isfinite(tensor).all() for tensor in (vector, tokens.half(), *told)):
            return Failure(reason=Reason.MODEL_OUTPUT_INVALID, message="the image encoder's output is not finite")
        encoding = Encoding(
            space=self.info.space,
            vector=vector.numpy().astype("<f4").tobytes(),
            tokens=tokens.numpy().astype("<f2").tobytes(),
            token_width=tokens.shape[1],
        )
        scores = [self._scores(item, head, each) for head, each in zip(asked, told, strict=False)]
        heads = [
            HeadScores(head=head, labels=_likely(each) if name == CONTENT and head in DENSE_HEADS else each)
            for name, head, each in zip(item.heads, asked, scores, strict=False)
        ]
        return ClassifiedImage(
            labels=heads[0].labels if heads else scores[0],
            encoding=encoding if item.include_encoding else None,
            heads=tuple(heads),
        )

    def _head(self, name: str, rows: Mapping[str, Tensor]) -> str:
        """The head itself, or what CONTENT stands for of this picture."""
        if name != CONTENT:
            return name
        if not {"objects", "background"} <= rows.keys():
            return CONCEPT
        background = self._labels["background"][int(rows["background"].argmax())]
        return CONCEPT if background.id == PLAIN else "objects"

    def _scores(self, item: ImageItem, head: str, probabilities: Tensor) -> tuple[LabelScore, ...]:
        """(N,) -> the likeliest labels of the head, or of the caller."""
        top = probabilities.topk(min(item.top_k, len(probabilities)))
        scores = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        if item.label_vectors is not None:
            return tuple(LabelScore(id=str(index), text="", probability=each) for index, each in scores)
        names = self._labels[head]
        return tuple(
            LabelScore(id=names[index].id, text=names[index].texts.get(item.language, ""), probability=each)
            for index, each in scores
        )


def _likely(labels: tuple[LabelScore, ...]) -> tuple[LabelScore, ...]:
    return labels[:1] + tuple(each for each in labels[1:] if each.probability >= LIKELY)
