"""What encoders of pictures and captions are held to: the losses of one step, on pictograms and scenes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from services.classification.model import EncodedImages, ImageEncoder
from services.training.encoding.batches import EncoderBatch
from services.training.encoding.scene_facts import FactIndex
from services.training.encoding.scene_sampler import SceneBatch
from services.training.losses import contrastive_loss
from services.training.samples import Batch

LABEL_SMOOTHING = 0.05
CELL_WEIGHT = 4.0
FACT_WEIGHT = 0.02


class Objectives:
    """The losses of an image encoder and of the vectors of captions, the pictograms first and the scenes after them.

    Captions and pictures of pictograms are scored against the same concept prototypes, which pulls both sides to one
    point early on. Facts of scenes are read off either side's vector by one linear layer, which is dropped after
    training: it makes vectors tell what the planner of the generator must know.
    """

    def __init__(self, image: ImageEncoder, index: FactIndex, *, subgroups: Tensor, styles: int) -> None:
        device, space_width = image.concepts.device, image.concepts.shape[1]
        self._image, self._index, self._subgroups, self._unnamed = image, index, subgroups.to(device), styles
        facts = nn.Linear(space_width, index.width)
        nn.init.constant_(facts.bias, -4.0)
        self.heads = nn.ModuleDict({"facts": facts, "text_style": nn.Linear(space_width, styles + 1)})
        self.heads.to(device)

    def losses(self, batch: EncoderBatch, encoded: EncodedImages, texts: Tensor) -> dict[str, Tensor]:
        """By name, of what the encoders make of a batch; `texts` (P + S + M, V) are of its captions."""
        few = len(batch.pictograms.concept)
        found = self._contrast(batch.pictograms, batch.scenes, encoded, texts)
        found |= self._of_pictograms(batch.pictograms, encoded, texts[:few], few - batch.restyled)
        return found | self._of_scenes(batch.scenes, encoded, texts[few:], few)

    def _contrast(self, batch: Batch, scenes: SceneBatch, encoded: EncodedImages, texts: Tensor) -> dict[str, Tensor]:
        few, pictures = len(batch.concept), len(encoded.vectors)
        same_concept = batch.concept[:, None] == batch.concept[None, :]
        same_style = batch.style[:, None] == batch.style[None, :]
        matches = torch.zeros(len(texts), pictures, dtype=torch.bool, device=texts.device)
        matches[:few, :few] = same_concept & (same_style | ~batch.names_style[:, None])
        matches[few:pictures, few:] = scenes.fits
        return {"contrast": contrastive_loss(texts, encoded.vectors, matches, self._image.log_scale.exp())}

    def _of_pictograms(self, batch: Batch, encoded: EncodedImages, texts: Tensor, styled: int) -> dict[str, Tensor]:
        few = len(batch.concept)
        plain = torch.full_like(batch.concept, len(self._index.backgrounds))
        heads = {name: logits[:few] for name, logits in encoded.heads.items()}
        named = torch.where(batch.names_style, batch.style, self._unnamed)
        entropy = functional.cross_entropy
        return {
            "concept": entropy(encoded.logits[:few], batch.concept, label_smoothing=LABEL_SMOOTHING),
            "text": entropy(self._image.score(texts), batch.concept, label_smoothing=LABEL_SMOOTHING),
            "other": 0.2 * entropy(heads["subgroup"], self._subgroups[batch.concept])
            + 0.2 * entropy(heads["style"][:styled], batch.style[:styled])
            + 0.1 * entropy(heads["background"], plain)
            + 0.2 * entropy(10 * self.heads["text_style"](texts), named),
        }

    def _of_scenes(self, scenes: SceneBatch, encoded: EncodedImages, texts: Tensor, few: int) -> dict[str, Tensor]:
        index = self._index
        dense = {name: cells[few:] for name, cells in encoded.dense.items()}
        step = scenes.kind_cells.shape[-1] // dense["objects"].shape[-1]
        kind_cells, colour_cells = (each[:, ::step, ::step] for each in (scenes.kind_cells, scenes.colour_cells))
        kinds = multi_hot(kind_cells, len(index.kinds))  # (B, N, 16, 16)
        coloured = (colour_cells >= 0)[:, None]
        colours = multi_hot(colour_cells, len(index.colours))
        entropy = functional.binary_cross_entropy_with_logits
        cells = entropy(dense["objects"], kinds, reduction="none").sum(dim=1).mean()
        tint = (entropy(dense["colour"], colours, reduction="none") * coloured).sum() / coloured.sum().clamp(min=1)
        present = scenes.picture_facts[:, : len(index.kinds)]
        whole = entropy(encoded.heads["objects"][few:], present, reduction="none").sum(dim=1).mean()
        whole = whole + entropy(encoded.heads["colour"][few:], scenes.colours, reduction="none").sum(dim=1).mean()
        facts, unordered = self.heads["facts"], index.unordered
        told = entropy(facts(16 * texts[: len(scenes.texts)]), scenes.text_facts, reduction="none").sum(dim=1).mean()
        seen = facts(16 * encoded.vectors[few:])[:, :unordered]
        shown = entropy(seen, scenes.picture_facts[:, :unordered], reduction="none").sum(dim=1).mean()
        return {
            "cells": CELL_WEIGHT * (cells + 0.3 * tint) + 0.1 * whole,
            "facts": FACT_WEIGHT * 4 * (told + shown),
            "page": 0.3 * functional.cross_entropy(encoded.heads["background"][few:], scenes.background)
            + 0.1 * functional.cross_entropy(encoded.heads["style"][few:], scenes.style),
        }


def multi_hot(indices: Tensor, count: int) -> Tensor:
    """(B, H, W) indices, -1 for none -> (B, count, H, W) of zeros and ones."""
    hot = functional.one_hot(indices.clamp(min=0), count).permute(0, 3, 1, 2).float()
    return hot * (indices >= 0)[:, None]
