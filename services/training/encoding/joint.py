"""Trains the text and the image encoder together, on pictograms and scenes, so that words and pictures of one thing
share a point."""

from __future__ import annotations

import random
from collections.abc import Mapping

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from services.classification.model import EncodedImages, ImageEncoder
from services.text.model import TextEncoder
from services.training.averaging import MovingAverage
from services.training.data.augmentation import random_scene_views, random_views, resized
from services.training.devices import on_device
from services.training.encoding.scene_facts import FactIndex
from services.training.encoding.scene_sampler import SceneBatch, SceneSampler
from services.training.encoding.word_lessons import WordLessons
from services.training.loop import cosine_schedule, set_learning_rate
from services.training.losses import contrastive_loss
from services.training.muon import Muon, is_matrix
from services.training.samples import Batch, Sampler, tokenize

LABEL_SMOOTHING = 0.05
PEAK_LEARNING_RATE = 1.5e-3
EMA_DECAY = 0.998
PICTOGRAM_SHARE = 5  # eighths of a batch: a pictogram has 1,400 names, a scene 77
RESTYLED_SHARE = 0.4
"""Of pictograms: a thing is to be known in the hand of a set that never drew it for the model."""
TEACHER_WIDTH = 128
WORD_WEIGHT = 1.0
CELL_WEIGHT = 4.0
FACT_WEIGHT = 0.02


class JointTrainer:
    """One step: a batch of pictograms and one of scenes, contrasted with their captions and told apart by their heads.

    Captions and pictures of pictograms are scored against the same concept prototypes, which pulls both sides to one
    point early on. Facts of scenes are read off either side's vector by one linear layer, which is dropped after
    training: it makes vectors tell what the planner of the generator must know.
    """

    def __init__(
        self, text: TextEncoder, image: ImageEncoder, tokenizer: Tokenizer, pictograms: Sampler, scenes: SceneSampler,
        index: FactIndex, lessons: WordLessons, *, subgroups: Tensor, styles: int, space_width: int, batch: int,
    ) -> None:  # fmt: skip
        self._lessons = lessons
        self.text, self.image, self._tokenizer = text, image, tokenizer
        self._pictograms, self._scenes, self._index, self._subgroups = pictograms, scenes, index, subgroups
        self.pictures_a_step = batch
        self.generators: Mapping[str, random.Random] = {
            "pictograms": pictograms.generator, **scenes.generators, "words": lessons.generator
        }  # fmt: skip
        self.counts: dict[str, int] = {}
        self._unnamed = styles
        facts = nn.Linear(space_width, index.width)
        nn.init.constant_(facts.bias, -4.0)
        self.heads = nn.ModuleDict(
            {
                "facts": facts,
                "text_style": nn.Linear(space_width, styles + 1),
                "teacher": nn.Linear(space_width, TEACHER_WIDTH),
            }
        )
        self.heads.to(image.concepts.device)
        live = nn.ModuleDict({"text": text, "image": image})
        self.average = MovingAverage(live, decay=EMA_DECAY)
        self._live = live
        self.modules: Mapping[str, nn.Module] = {"live": live, "average": self.average, "heads": self.heads}
        parameters = [*live.parameters(), *self.heads.parameters()]
        tables = {id(text.embedding.weight), id(image.concepts), *(id(one) for one in self.heads.parameters())}
        matrices = [one for one in parameters if is_matrix(one) and id(one) not in tables]
        chosen = {id(one) for one in matrices}
        others = [one for one in parameters if id(one) not in chosen]
        self.optimisers: Mapping[str, Optimizer] = {
            "muon": Muon(matrices),
            "adamw": torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
        }
        self._parameters = parameters

    def step(self, share: float) -> Mapping[str, Tensor]:
        """One optimiser step; the losses by name."""
        few = self.pictures_a_step * PICTOGRAM_SHARE // 8
        device = self.image.concepts.device
        restyled = round(few * RESTYLED_SHARE)  # those are drawn in no style that has a name
        batch = self._pictograms.draw(few, unnamed=restyled)
        scenes = on_device(self._scenes.draw(self.pictures_a_step - few), device)
        views = torch.cat((random_views(batch.pictures, batch.alpha, batch.sided, self.image.pixels, restyled=restyled),
                           random_scene_views(resized(scenes.pictures, self.image.pixels))))  # fmt: skip
        tokens, mask = tokenize(self._tokenizer, [*batch.texts, *scenes.texts, *scenes.near_misses])
        with torch.autocast(device.type, dtype=torch.bfloat16):
            encoded = self.image(views.contiguous(memory_format=torch.channels_last))
            texts = self.text(tokens.to(device), mask.to(device))
        losses = self._contrast(batch, scenes, encoded, texts)
        losses |= self._pictogram_losses(batch, encoded, texts[:few], few)
        losses |= self._scene_losses(scenes, encoded, texts[few:], few)
        losses["words"] = self._word_loss(self.pictures_a_step * 2 // 5)
        for optimiser in self.optimisers.values():
            set_learning_rate(optimiser, PEAK_LEARNING_RATE * cosine_schedule(share))
            optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        nn.utils.clip_grad_norm_(self._parameters, 2.0)
        for optimiser in self.optimisers.values():
            optimiser.step()
        self.average.follow(self._live)
        return {name: value.detach() for name, value in losses.items()}

    def take_average(self) -> None:
        """Puts the averaged weights into both encoders."""
        self._live.load_state_dict(self.average.mean.state_dict())

    def _contrast(self, batch: Batch, scenes: SceneBatch, encoded: EncodedImages, texts: Tensor) -> dict[str, Tensor]:
        few, pictures = len(batch.concept), len(encoded.vectors)
        same_concept = batch.concept[:, None] == batch.concept[None, :]
        same_style = batch.style[:, None] == batch.style[None, :]
        matches = torch.zeros(len(texts), pictures, dtype=torch.bool, device=texts.device)
        matches[:few, :few] = same_concept & (same_style | ~batch.names_style[:, None])
        matches[few:pictures, few:] = scenes.fits
        return {"contrast": contrastive_loss(texts, encoded.vectors, matches, self.image.log_scale.exp())}

    def _pictogram_losses(self, batch: Batch, encoded: EncodedImages, texts: Tensor, few: int) -> dict[str, Tensor]:
        plain = torch.full_like(batch.concept, len(self._index.backgrounds))
        heads = {name: logits[:few] for name, logits in encoded.heads.items()}
        named = torch.where(batch.names_style, batch.style, self._unnamed)
        styled = few - round(few * RESTYLED_SHARE)
        entropy = functional.cross_entropy
        return {
            "concept": entropy(encoded.logits[:few], batch.concept, label_smoothing=LABEL_SMOOTHING),
            "text": entropy(self.image.score(texts), batch.concept, label_smoothing=LABEL_SMOOTHING),
            "other": 0.2 * entropy(heads["subgroup"], self._subgroups[batch.concept])
            + 0.2 * entropy(heads["style"][:styled], batch.style[:styled])
            + 0.1 * entropy(heads["background"], plain)
            + 0.2 * entropy(10 * self.heads["text_style"](texts), named),
        }

    def _scene_losses(self, scenes: SceneBatch, encoded: EncodedImages, texts: Tensor, few: int) -> dict[str, Tensor]:
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

    def _word_loss(self, size: int) -> Tensor:
        """How far the vectors of words are from saying, by one linear layer, where the teachers put them."""
        words, targets = self._lessons.draw(size)
        device = self.image.concepts.device
        tokens, mask = tokenize(self._tokenizer, words)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            vectors = self.text(tokens.to(device), mask.to(device))
        told = functional.normalize(self.heads["teacher"](16 * vectors).float(), dim=1)
        return WORD_WEIGHT * (1 - (told * targets.to(device)).sum(dim=1).mean())


def multi_hot(indices: Tensor, count: int) -> Tensor:
    """(B, H, W) indices, -1 for none -> (B, count, H, W) of zeros and ones."""
    hot = functional.one_hot(indices.clamp(min=0), count).permute(0, 3, 1, 2).float()
    return hot * (indices >= 0)[:, None]
