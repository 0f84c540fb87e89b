"""Image encoders that answer together: the weighted average of their probabilities, and the encodings of the first.

A model alone is an ensemble of one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from services.classification.config import CONCEPT, DENSE_HEADS, HEADS, ImageEncoderConfig
from services.classification.labels import HeadLabels
from services.classification.model import EncodedImages, ImageEncoder
from shared.errors import ModelDirectoryError
from shared.inference.model_directory import ModelDirectory
from shared.inference.predictor import HeadInfo, ModelInfo


@dataclass(frozen=True, kw_only=True)
class Member:
    """One model and what it has read."""

    directory: ModelDirectory
    config: ImageEncoderConfig
    labels: HeadLabels
    model: ImageEncoder
    weight: float

    @property
    def temperatures(self) -> Mapping[str, float]:
        """By head."""
        return {head: self.directory.temperature.get(head, 1.0) for head in self.labels}


class Ensemble(nn.Module):
    """Pictures to calibrated probabilities by head (temperature scaling, Guo et al. 2017, arXiv:1706.04599)."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        self.models = nn.ModuleList(member.model for member in members)
        self.heads = tuple(head for head in HEADS if head in members[0].labels)
        self.sides = tuple(sorted({member.config.pixels for member in members}))
        """Sides of the pictures that it wants."""
        total = sum(member.weight for member in members)
        self._members = [
            (self.sides.index(member.config.pixels), member.weight / total, member.temperatures) for member in members
        ]

    def forward(self, *pictures: Tensor) -> tuple[EncodedImages, dict[str, Tensor]]:
        """The same B pictures at each of `sides`, (B, 3, H, W) in [-1, 1] -> the first's answer; (B, N) a head."""
        seen = [model(pictures[side]) for model, (side, _, _) in zip(self.models, self._members, strict=True)]
        shares = [
            {head: share * probability for head, probability in probabilities(each, temperatures).items()}
            for each, (_, share, temperatures) in zip(seen, self._members, strict=True)
        ]
        return seen[0], {head: torch.stack([each[head] for each in shares]).sum(dim=0) for head in self.heads}


def probabilities(encoded: EncodedImages, temperatures: Mapping[str, float]) -> dict[str, Tensor]:
    """(B, N) float32 a head: over the labels of a head they add up to 1, or each of a dense head is its own."""
    logits = {CONCEPT: encoded.logits, **encoded.heads}
    return {
        head: (each / temperatures[head]).sigmoid() if head in DENSE_HEADS else (each / temperatures[head]).softmax(1)
        for head, each in logits.items()
    }


def require_same_labels(members: Sequence[Member]) -> None:
    """Raises ModelDirectoryError, naming both directories and the first difference, unless all have the same labels."""
    first = members[0]
    for other in members[1:]:
        names = f"{first.directory.path} and {other.directory.path} cannot answer together"
        if first.labels.keys() != other.labels.keys():
            theirs = f"{', '.join(first.labels)} and {', '.join(other.labels)}"
            raise ModelDirectoryError(f"{names}: their heads are {theirs}")
        for head, labels in first.labels.items():
            for place, (one, another) in enumerate(zip(labels, other.labels[head], strict=False)):
                if one != another:
                    raise ModelDirectoryError(f"{names}: label {place} of {head} is {one.id!r} and {another.id!r}")
            if len(labels) != len(other.labels[head]):
                counts = f"{len(labels)} and {len(other.labels[head])}"
                raise ModelDirectoryError(f"{names}: they have {counts} labels of {head}")


def joint_info(members: Sequence[Member]) -> ModelInfo:
    """What callers are told: of one member its own name and digest, of several a digest of all and of their weights."""
    first = members[0]
    heads = tuple(
        HeadInfo(name=head, multi_label=head in DENSE_HEADS, labels=first.labels[head])
        for head in HEADS
        if head in first.labels
    )
    info = replace(first.directory.info(), heads=heads)
    if len(members) == 1:
        return info
    lines = [f"{member.directory.digest} {float(member.weight)!r}\n" for member in members]
    return replace(
        info, name=f"{info.name}-ensemble-of-{len(members)}", digest=hashlib.sha256("".join(lines).encode()).hexdigest()
    )
