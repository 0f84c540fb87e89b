"""The held-out scenes that models are measured on, with their captions and what is true of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from services.training.data.meanings import LANGUAGES
from services.training.data.scenes.captions import SceneCaption, caption
from services.training.data.scenes.composer import ComposedScene, compose, compose_like
from services.training.data.scenes.plan import plan_from_facts
from services.training.data.scenes.sprites import SpriteSet
from services.training.data.scenes.truth import INVERSE, Fact, Scene, true_facts

FIRST_SEED = 0
REFERENCE_SEED = 1_000_000
"""First seed of the scenes that FID compares with: none of them gives a prompt."""
ATTEMPTS = 8
JUDGED_KINDS = ("object", "colour", "count", "relation", "background")
"""Facts that figures are about; captions also state verbs."""


@dataclass(frozen=True, kw_only=True)
class CaptionedScene:
    """A scene, its picture and one caption a language."""

    scene: Scene
    pixels: NDArray[np.uint8]
    """(S, S, 3)."""
    captions: Mapping[str, SceneCaption]


def captioned_scenes(sprites: SpriteSet, *, first_seed: int = FIRST_SEED, split: str = "test",
                     side: int = 128) -> Iterator[CaptionedScene]:  # fmt: skip
    """Scenes of one seed after another, without end; equal seeds, equal scenes and captions."""
    for seed in count(first_seed):
        composed = compose(seed, sprites, split=split, side=side)
        captions = {lang: caption(composed.scene, lang, random.Random(f"{seed} {lang}")) for lang in LANGUAGES}
        yield CaptionedScene(scene=composed.scene, pixels=composed.pixels, captions=captions)


def distinct_scenes(scenes: Iterable[CaptionedScene], number: int) -> list[CaptionedScene]:
    """The first of `scenes` whose captions tell them apart: none is true of another one of them, in either language.

    Else a text would have several right pictures, of which only one counts: of 600 scenes whose captions merely have
    other words, a reader without a mistake finds 82 %.
    """
    chosen: list[CaptionedScene] = []
    truths: list[frozenset[Fact]] = []
    for each in scenes:
        truth = true_facts(each.scene)
        said = [caption.facts for caption in each.captions.values()]
        if not any(
            any(facts <= other for facts in said) or any(facts.facts <= truth for facts in kept.captions.values())
            for other, kept in zip(truths, chosen, strict=True)
        ):
            chosen.append(each)
            truths.append(truth)
        if len(chosen) == number:
            break
    return chosen


def worded_scenes(scenes: Iterable[CaptionedScene], number: int) -> list[CaptionedScene]:
    """The first of `scenes` whose captions merely differ in words, in both languages: one may be true of another."""
    said: set[str] = set()
    chosen: list[CaptionedScene] = []
    for each in scenes:
        texts = {caption.text for caption in each.captions.values()}
        if not texts & said:
            chosen.append(each)
            said |= texts
        if len(chosen) == number:
            break
    return chosen


def scene_of(facts: frozenset[Fact], seed: int, sprites: SpriteSet) -> ComposedScene | None:
    """A held-out scene of which the facts are true and that shows no other kinds; None where ATTEMPTS find none."""
    for attempt in range(ATTEMPTS):
        with suppress(ValueError):  # three large things in one place do not always find room
            return compose_like(plan_from_facts(facts), seed + attempt * REFERENCE_SEED, sprites, split="test")
    return None


def judged_facts(facts: frozenset[Fact]) -> frozenset[Fact]:
    """Of JUDGED_KINDS, each relation one way round: `a right-of b` is `b left-of a`."""
    return frozenset(_one_way(fact) for fact in facts if fact.kind in JUDGED_KINDS)


def _one_way(fact: Fact) -> Fact:
    if fact.kind != "relation":
        return fact
    subject, relation, other = fact.value
    return fact if relation < INVERSE[relation] else Fact("relation", (other, INVERSE[relation], subject))


def thumbnails(pictures: Sequence[NDArray[np.uint8]], side: int = 16) -> NDArray[np.float32]:
    """(N, side * side * 3): averaged down, for nearest neighbours by pixels alone."""
    stacked = np.stack(pictures).astype(np.float32)
    factor = stacked.shape[1] // side
    tiles = stacked.reshape(len(stacked), side, factor, side, factor, 3).mean(axis=(2, 4))
    return np.asarray(tiles.reshape(len(stacked), -1), dtype=np.float32)


def nearest(queries: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.intp]:
    """(N, D), (M, D) -> (N,) the row nearest to each query, by Euclidean distance."""
    norms = (rows**2).sum(axis=1)
    return np.concatenate(
        [(norms - 2 * queries[first : first + 256] @ rows.T).argmin(axis=1) for first in range(0, len(queries), 256)]
    )
