"""Draws training batches of scenes: pictures, captions, near misses of captions, and truths as targets."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from services.training.data.scenes.captions import SceneCaption, caption
from services.training.data.scenes.pool import ScenePool
from services.training.data.scenes.splits import is_held_out
from services.training.data.scenes.truth import Fact, Scene, find_relations, true_facts
from services.training.encoding.scene_facts import FactIndex, scene_facts
from services.training.encoding.word_lessons import WordLessons

NEAR_MISS_SHARE = 0.35
REWORDED_SHARE = 0.25


@dataclass(frozen=True, kw_only=True)
class SceneBatch:
    """B scenes with a caption each, and M captions that are nearly right."""

    pictures: Tensor
    """(B, 3, H, W) in [0, 1]."""
    texts: Sequence[str]
    near_misses: Sequence[str]
    """Captions that are true of no scene of the batch: another side, another colour."""
    fits: Tensor
    """(B, B) true where all that text i says holds for picture j too; relations only on the diagonal."""
    text_facts: Tensor
    """(B, F) what the texts say."""
    picture_facts: Tensor
    """(B, F) what is true, relations left out."""
    colours: Tensor
    """(B, C) of zeros and ones: that some object has."""
    background: Tensor
    """(B,)"""
    style: Tensor
    """(B,)"""
    kind_cells: Tensor
    """(B, 16, 16) class of the object there, -1 for background."""
    colour_cells: Tensor
    """(B, 16, 16) its colour, -1 for background and where nobody gave it one."""


class SceneSampler:
    """An endless source of batches; equal seeds give equal batches."""

    def __init__(
        self, pool: ScenePool, index: FactIndex, lessons: WordLessons, *, styles: Sequence[str], seed: int
    ) -> None:
        self._pool, self._index, self._lessons, self._styles = pool, index, lessons, styles
        self._rng = random.Random(seed)
        self.generators: Mapping[str, random.Random] = {"scenes": self._rng, "rewordings": lessons.generator}

    def draw(self, size: int) -> SceneBatch:
        """`size` scenes, none twice."""
        rows = self._rng.sample(range(len(self._pool)), size)
        scenes = [self._pool.scenes[row] for row in rows]
        texts: list[str] = []
        near: list[SceneCaption] = []
        stated: list[frozenset[Fact]] = []
        for scene in scenes:
            language = "en" if self._rng.random() < 0.5 else "zh"
            seed = self._rng.getrandbits(64)
            written = caption(scene, language, random.Random(seed))
            reword = self._rng.random() < REWORDED_SHARE
            texts.append(self._lessons.reworded(written.text, language) if reword else written.text)
            stated.append(written.facts)
            if self._rng.random() > NEAR_MISS_SHARE:
                continue
            missed = near_miss(scene, self._rng)
            if not is_held_out(missed):  # no caption may hold a pair that training is not to know
                near.append(caption(missed, language, random.Random(seed)))
        # Two names that changed places, and nothing said of where things are, make another true caption.
        shown = [true_facts(scene) for scene in scenes]
        near_misses = [one.text for one in near if not any(one.facts <= facts for facts in shown)]
        true = [scene_facts(scene) for scene in scenes]
        fits = torch.tensor([[one <= other for other in true] for one in stated])
        fits.fill_diagonal_(True)
        kinds, colours = self._cells(rows, scenes)
        pictures = torch.from_numpy(self._pool.pictures(rows)).permute(0, 3, 1, 2).float() / 255
        return SceneBatch(
            pictures=pictures,
            texts=texts,
            near_misses=near_misses,
            fits=fits,
            text_facts=self._index.rows(stated),
            picture_facts=self._index.rows(true),
            colours=torch.tensor(
                [[name in {one.colour for one in scene.objects} for name in self._index.colours] for scene in scenes]
            ).float(),
            background=torch.tensor([self._index.backgrounds.index(scene.background) for scene in scenes]),
            style=torch.tensor([self._styles.index(scene.style) for scene in scenes]),
            kind_cells=kinds,
            colour_cells=colours,
        )

    def _cells(self, rows: Sequence[int], scenes: Sequence[Scene]) -> tuple[Tensor, Tensor]:
        kinds, colours = [], []
        for row, scene in zip(rows, scenes, strict=True):
            kind = np.array([-1] + [self._index.kinds.index(one.kind) for one in scene.objects])
            colour = np.array(
                [-1] + [-1 if one.colour is None else self._index.colours.index(one.colour) for one in scene.objects]
            )
            cells = self._pool.cells[row]
            kinds.append(kind[cells])
            colours.append(colour[cells])
        return torch.from_numpy(np.stack(kinds)), torch.from_numpy(np.stack(colours))


def near_miss(scene: Scene, rng: random.Random) -> Scene:
    """The scene with one thing wrong that a caption may tell: two kinds have changed places, or only their colours."""
    kinds = sorted({one.kind for one in scene.objects})
    if len(kinds) < 2:
        return scene
    first, second = rng.sample(kinds, 2)
    examples = {one.kind: one for one in scene.objects}
    fields = ("colour",) if rng.random() < 0.5 else ("kind", "colour", "verb")
    swapped = {first: examples[second], second: examples[first]}
    objects = tuple(
        replace(one, **{name: getattr(swapped[one.kind], name) for name in fields}) if one.kind in swapped else one
        for one in scene.objects
    )
    return replace(scene, objects=objects, relations=find_relations(objects))
