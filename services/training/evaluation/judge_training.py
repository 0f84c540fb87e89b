"""Trains the judge, on real pictures alone: pictograms, and scenes with the class and colour of each cell."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from services.training.data.augmentation import random_views
from services.training.data.pack import Pack
from services.training.data.scenes.composer import ComposedScene, compose
from services.training.data.scenes.sprites import SpriteSet
from services.training.evaluation.judge import STRIDE, JudgeConfig, JudgeNetwork, judge_input
from services.training.loop import cosine_schedule, set_learning_rate

RATE = 2e-3
UNDECIDED = -100
"""What cross_entropy leaves out."""
WHOLE, NONE = 0.3, 0.05
"""A cell shows an object that covers this share of it, the background where none covers more than the second."""
FRESH = 8
"""Scenes of each step that no step had before; the rest of the pool is used again."""


@dataclass(frozen=True, kw_only=True)
class LabelledScene:
    """A scene at the judge's size, and what its cells show."""

    pixels: NDArray[np.uint8]
    """(S, S, 3)."""
    cells: NDArray[np.int64]
    """(S/4, S/4): 0 the background, 1 + class, or UNDECIDED."""
    colours: NDArray[np.int64]
    """(S/4, S/4): the object's colour, UNDECIDED where it has none that has a name."""
    background: int


def label_scene(composed: ComposedScene, config: JudgeConfig) -> LabelledScene:
    """What each cell shows: the object that covers most of it; each object has at least the cell it covers most."""
    grid = config.pixels // STRIDE
    objects = composed.scene.objects
    classes = np.array([config.objects.index(each.kind) + 1 for each in objects], dtype=np.int64)
    named = np.array(
        [config.colours.index(each.colour) if each.colour else UNDECIDED for each in objects], dtype=np.int64
    )
    cells, colours = (np.zeros((grid, grid), dtype=np.int64), np.full((grid, grid), UNDECIDED, dtype=np.int64))
    if len(objects):
        side = len(composed.instances) // grid
        tiles = composed.instances.reshape(grid, side, grid, side)
        cover = np.stack([(tiles == index + 1).mean(axis=(1, 3)) for index in range(len(objects))])  # (K, G, G)
        owner, most = cover.argmax(axis=0), cover.max(axis=0)
        owned = most >= WHOLE
        for index in np.argsort(-cover.sum(axis=(1, 2))):  # the smallest last: none takes its only cell
            if not (owned & (owner == index)).any():
                place = np.unravel_index(cover[index].argmax(), cover[index].shape)
                owner[place], owned[place] = index, True
        cells = np.where(owned, classes[owner], np.where(most > NONE, UNDECIDED, 0))
        colours = np.where(owned, named[owner], UNDECIDED)
    pixels = judge_input(composed.pixels[None], config.pixels)[0]
    return LabelledScene(
        pixels=(pixels.permute(1, 2, 0) * 127.5 + 127.5).round().to(torch.uint8).numpy(),
        cells=cells,
        colours=colours,
        background=config.backgrounds.index(composed.scene.background),
    )


class LabelledPool:
    """Labelled training scenes, a few of them new at each draw: composing takes longer than learning."""

    def __init__(self, sprites: SpriteSet, config: JudgeConfig, *, size: int, seed: int) -> None:
        self._sprites, self._config = sprites, config
        self._rng = np.random.default_rng(seed)
        self._seed = seed * 1_000_003
        self._scenes = [self._compose() for _ in range(size)]

    def draw(self, count: int) -> list[LabelledScene]:
        """Replaces FRESH of the pool, and draws `count` of it."""
        for place in self._rng.choice(len(self._scenes), size=min(FRESH, len(self._scenes)), replace=False):
            self._scenes[place] = self._compose()
        return [self._scenes[place] for place in self._rng.integers(len(self._scenes), size=count)]

    def _compose(self) -> LabelledScene:
        self._seed += 1
        return label_scene(compose(self._seed, self._sprites, split="train", side=128), self._config)


class JudgeTrainer:
    """Half of each batch pictograms, half scenes; AdamW.

    Rows and views follow from seed and step; the pool of scenes begins again where training is resumed.
    """

    def __init__(self, network: JudgeNetwork, config: JudgeConfig, pack: Pack, pool: LabelledPool, *, batch: int,
                 seed: int) -> None:  # fmt: skip
        self.network, self.config, self.pool = network.train(), config, pool
        self.pictures_a_step = batch
        optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.05)
        self.modules: Mapping[str, nn.Module] = {"judge": network}
        self.optimisers: Mapping[str, torch.optim.Optimizer] = {"adamw": optimiser}
        self.generators: Mapping[str, random.Random] = {}
        self.counts = {"steps": 0}
        self._seed = seed
        self._rows = np.flatnonzero(pack.train)
        self._pack = pack

    def step(self, share: float) -> Mapping[str, Tensor]:
        """One step over both kinds of pictures."""
        optimiser = self.optimisers["adamw"]
        set_learning_rate(optimiser, RATE * cosine_schedule(share))
        half = self.pictures_a_step // 2
        rng = np.random.default_rng((self._seed, self.counts["steps"]))
        self.counts["steps"] += 1
        views, concepts = self._pictograms(half, rng)
        scenes, cells, colours, backgrounds = _stack(self.pool.draw(half), rng)
        pictures = torch.cat((views, scenes)).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            scores = self.network(pictures)
        losses = {
            "concept": functional.cross_entropy(scores.concepts[:half], concepts, label_smoothing=0.1),
            "cells": functional.cross_entropy(scores.cells[half:], cells, ignore_index=UNDECIDED),
            "colours": _decided(scores.colours[half:], colours),
            "background": functional.cross_entropy(scores.backgrounds[half:], backgrounds),
        }
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        optimiser.step()
        return {name: loss.detach() for name, loss in losses.items()}

    def _pictograms(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Views of training rows, (B, 3, S, S) in [-1, 1], and their concepts (B,)."""
        rows = rng.choice(self._rows, size=count)
        pictures = torch.from_numpy(self._pack.pixels[rows]).permute(0, 3, 1, 2).float() / 255
        alpha = torch.from_numpy(self._pack.alpha[rows])[:, None].float() / 255
        sided = torch.from_numpy(self._pack.sided[rows])
        views = random_views(pictures, alpha, sided, pictures.shape[-1])
        if views.shape[-1] != self.config.pixels:
            views = functional.interpolate(views, size=(self.config.pixels,) * 2, mode="bilinear", antialias=True)
        return views, torch.from_numpy(self._pack.concept[rows])


def _decided(scores: Tensor, wanted: Tensor) -> Tensor:
    """Cross entropy where there is anything to learn: of nothing it would be no number."""
    if not (wanted != UNDECIDED).any():
        return scores.sum() * 0
    return functional.cross_entropy(scores, wanted, ignore_index=UNDECIDED)


def _stack(scenes: Sequence[LabelledScene], rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pictures (B, 3, S, S) in [-1, 1], half mirrored with their cells, a third blurred, as painted ones are."""
    mirrored = torch.from_numpy(rng.random(len(scenes)) < 0.5)
    pictures = torch.from_numpy(np.stack([each.pixels for each in scenes])).permute(0, 3, 1, 2).float() / 127.5 - 1
    cells, colours = (
        torch.from_numpy(np.stack(each)) for each in zip(*((s.cells, s.colours) for s in scenes), strict=True)
    )
    pictures = torch.where(mirrored[:, None, None, None], pictures.flip(-1), pictures)
    cells = torch.where(mirrored[:, None, None], cells.flip(-1), cells)
    colours = torch.where(mirrored[:, None, None], colours.flip(-1), colours)
    blurred = len(scenes) // 3
    if blurred:
        side = int(rng.integers(pictures.shape[-1] // 2, pictures.shape[-1] + 1))
        small = functional.interpolate(pictures[:blurred], size=(side, side), mode="bilinear", antialias=True)
        pictures[:blurred] = functional.interpolate(small, size=pictures.shape[-2:], mode="bilinear")
    pictures = (pictures + 0.05 * torch.rand(len(scenes), 1, 1, 1) * torch.randn_like(pictures)).clamp(-1, 1)
    return pictures, cells, colours, torch.tensor([each.background for each in scenes])


def fit_threshold(sure: NDArray[np.float32], true: NDArray[np.bool_]) -> float:
    """The threshold of most F1, (N, objects) each: how sure the judge is of each class, and which are there."""
    candidates = np.linspace(0.05, 0.95, 91)
    scores = [2 * (sure >= each)[true].sum() / ((sure >= each).sum() + true.sum()) for each in candidates]
    return round(float(candidates[int(np.argmax(scores))]), 2)
