"""Captions of held-out pictures: what they state, parsed back and compared with what is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.training.data.meanings import LANGUAGES
from services.training.data.pack import Concept, Pack
from services.training.data.scenes.captions import canonical_caption
from services.training.data.scenes.parser import parse
from services.training.data.scenes.truth import true_facts
from services.training.evaluation.bootstrap import Estimate, estimate, mean
from services.training.evaluation.figures import NAMES, Figure, Target
from services.training.evaluation.scenes import JUDGED_KINDS, CaptionedScene, judged_facts, nearest, thumbnails
from services.training.evaluation.served import ServedModels

SCENES = Target(must=0.85, goal=0.95)
PICTOGRAMS = Target(must=0.50, goal=0.75)


@dataclass(frozen=True, kw_only=True)
class Stated:
    """Counts of one caption's facts."""

    stated: int
    stated_true: int
    """Of the stated, those that are true of the scene."""
    wanted: int
    """Facts of the canonical caption, which states all: every object, count and colour, background, one relation."""
    found: int
    """Of the wanted, those that the caption states."""


def count_facts(text: str, language: str, scene: CaptionedScene, *, kinds: Sequence[str] = JUDGED_KINDS) -> Stated:
    """What a caption states, against the truth and against what a caption that leaves nothing out states.

    Of relations that caption states one; any that is true will do in its place.
    """
    said = {fact for fact in judged_facts(parse(text, language)) if fact.kind in kinds}
    true = judged_facts(true_facts(scene.scene))
    wanted = {fact for fact in judged_facts(canonical_caption(scene.scene, language).facts) if fact.kind in kinds}
    related = any(fact.kind == "relation" for fact in said & true)
    found = [fact in said or (fact.kind == "relation" and related) for fact in wanted]
    return Stated(stated=len(said), stated_true=len(said & true), wanted=len(wanted), found=sum(found))


def tuple_f1(counts: Sequence[Stated]) -> Estimate:
    """F1 of facts over captions (micro): 2 P R / (P + R).

    P is the share of stated facts that are true of the scene; R is the share of the facts of a caption that states all
    that are stated, so that what a caption leaves out costs as what it gets wrong does.
    """

    def statistic(means: NDArray[np.float64]) -> NDArray[np.float64]:
        precision, recall = means[:, 1] / means[:, 0], means[:, 3] / means[:, 2]
        score = 2 * precision * recall / (precision + recall)
        return np.where((means[:, 1] == 0) | (means[:, 3] == 0), 0.0, score)

    return estimate([(each.stated, each.stated_true, each.wanted, each.found) for each in counts], statistic)


def measure_scene_captions(
    models: ServedModels, scenes: Sequence[CaptionedScene], training: Sequence[CaptionedScene]
) -> tuple[list[Figure], dict[str, list[str]]]:
    """Tuple F1 in each language, and the captions.

    Beside: the same of the caption of the training scene that is nearest by 16 x 16 pixels, which leaves nothing out
    either; and F1 of each kind of fact. A caption without mistakes and gaps has 1.
    """
    encodings = models.encode_pictures(each.pixels for each in scenes)
    neighbours = nearest(thumbnails([each.pixels for each in scenes]), thumbnails([each.pixels for each in training]))
    figures, written = [], {}
    for language in LANGUAGES:
        texts = models.caption(encodings, language)
        written[language] = texts
        copied = [canonical_caption(training[place].scene, language).text for place in neighbours]
        beside: dict[str, Estimate | float] = {"nearest training scene": _score(copied, language, scenes)}
        for kind in JUDGED_KINDS:
            beside[kind] = _score(texts, language, scenes, kinds=(kind,)).value
        figures.append(
            Figure(
                name=f"captions.scenes.{language}",
                title=f"captions of scenes: tuple F1, {NAMES[language]}",
                estimate=_score(texts, language, scenes),
                target=SCENES,
                beside=beside,
            )
        )
    return figures, written


def _score(texts: Sequence[str], language: str, scenes: Sequence[CaptionedScene], *,
           kinds: Sequence[str] = JUDGED_KINDS) -> Estimate:  # fmt: skip
    return tuple_f1([count_facts(text, language, each, kinds=kinds) for text, each in zip(texts, scenes, strict=True)])


def measure_pictogram_captions(
    models: ServedModels, pack: Pack, rows: NDArray[np.intp]
) -> tuple[list[Figure], dict[str, list[str]]]:
    """The share of captions that name the concept, by its name or a synonym, on held-out pairs."""
    encodings = models.encode_pictures(pack.pixels[rows])
    concepts = [pack.concepts[index] for index in pack.concept[rows]]
    figures, written = [], {}
    for language in LANGUAGES:
        texts = models.caption(encodings, language)
        written[language] = texts
        named = [
            concept.id in named_concepts(text, pack.concepts, language)
            for text, concept in zip(texts, concepts, strict=True)
        ]
        figures.append(
            Figure(
                name=f"captions.pictograms.{language}",
                title=f"captions of pictograms, held-out pairs: naming the concept, {NAMES[language]}",
                estimate=mean(named),
                target=PICTOGRAMS,
            )
        )
    return figures, written


def named_concepts(text: str, concepts: Sequence[Concept], language: str) -> set[str]:
    """Ids of the concepts that the longest name in a caption belongs to: `a black cat` does not name the cat.

    Names are whole words in English and characters in Chinese; synonyms count.
    """
    spaced = f" {' '.join(text.lower().split()).strip('.')} "
    found: dict[str, set[str]] = {}
    for concept in concepts:
        for name in names_of(concept, language):
            if (f" {name} " if language == "en" else name) in spaced:
                found.setdefault(name, set()).add(concept.id)
    return found[max(found, key=len)] if found else set()


def names_of(concept: Concept, language: str) -> tuple[str, ...]:
    """Name and synonyms, in lower case."""
    if language == "zh":
        return tuple(name.lower() for name in (concept.zh, *concept.zh_synonyms))
    return tuple(name.lower() for name in (concept.en, *concept.en_synonyms))
