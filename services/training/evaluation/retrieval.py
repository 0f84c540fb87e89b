"""Retrieval over held-out scenes: the text that belongs to a picture among all, and the picture of a text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from services.training.data.meanings import LANGUAGES
from services.training.data.scenes.captions import SceneCaption
from services.training.data.scenes.truth import Fact, true_facts
from services.training.evaluation.bootstrap import mean, ratio
from services.training.evaluation.figures import NAMES, Figure, Target, not_measured
from services.training.evaluation.scenes import CaptionedScene
from services.training.evaluation.served import ServedModels, vectors

R1 = Target(must=0.70, goal=0.90)
PARAPHRASED = Target(must=0.50, goal=0.80)
TextsEncoded = Callable[[Sequence[str]], NDArray[np.float32]]
"""N texts to (N, V) of unit norm."""


@dataclass(frozen=True, kw_only=True)
class Paraphrases:
    """Texts in words that no training caption holds, and beside each a caption of the same scene in plain words."""

    plain: Sequence[SceneCaption]
    rewritten: Sequence[SceneCaption]
    further: Sequence[CaptionedScene] = ()
    """Scenes that they are about, beside those that retrieval is over."""


def measure_retrieval(
    models: ServedModels,
    scenes: Sequence[CaptionedScene],
    paraphrases: Mapping[str, Paraphrases],
    worded: Sequence[CaptionedScene],
    others: Mapping[str, TextsEncoded] = MappingProxyType({}),
) -> list[Figure]:
    """R@1 both ways and in both languages, and what paraphrases keep of it.

    R@1 of text to picture: the share of captions whose scene is the nearest of all to them, by the cosine in the joint
    space; of picture to text: the share of scenes whose caption is. Each caption is true of its own scene alone.
    Beside: the same over `worded`, scenes whose captions merely have other words, where a text that is also true of
    another scene has one right answer all the same; and what `others`, by name, make of the very same.
    """
    pictures = vectors(models.encode_pictures(each.pixels for each in scenes))
    other_pictures = vectors(models.encode_pictures(each.pixels for each in worded))
    figures: list[Figure] = []
    for language in LANGUAGES:
        similarity = _similarity(models.encode_texts, scenes, pictures, language)
        merely = _similarity(models.encode_texts, worded, other_pictures, language)
        theirs = {name: _similarity(encode, scenes, pictures, language) for name, encode in others.items()}
        for way, turn in (("text_to_picture", np.asarray), ("picture_to_text", np.transpose)):
            figures.append(
                Figure(
                    name=f"retrieval.{way}.{language}",
                    title=f"retrieval R@1, {way.replace('_', ' ')}, {NAMES[language]}",
                    estimate=mean(first_is_right(turn(similarity))),
                    target=R1,
                    beside={
                        **{name: mean(first_is_right(turn(found))) for name, found in theirs.items()},
                        f"of {len(worded)} captions merely in other words": mean(first_is_right(turn(merely))),
                        "chance": 1 / len(scenes),
                    },
                )
            )
    return figures + [
        _paraphrased(models, others, language, paraphrases.get(language), scenes, pictures) for language in LANGUAGES
    ]


def _similarity(
    encode: TextsEncoded, scenes: Sequence[CaptionedScene], pictures: NDArray[np.float32], language: str
) -> NDArray[np.float32]:
    """(N texts, N pictures)."""
    texts = encode([each.captions[language].text for each in scenes])
    return np.asarray(texts @ pictures.T, dtype=np.float32)


def first_is_right(similarity: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(N, N) -> (N,): whether each row's own column is its greatest, and greater than all others."""
    own = np.diagonal(similarity)
    return np.asarray((similarity >= own[:, None]).sum(axis=1) == 1)


def _paraphrased(
    models: ServedModels,
    others: Mapping[str, TextsEncoded],
    language: str,
    paraphrases: Paraphrases | None,
    scenes: Sequence[CaptionedScene],
    pictures: NDArray[np.float32],
) -> Figure:
    """R@1 of the rewritten captions over that of the plain ones of the same scenes.

    Right is a picture of which all that the text states is true: a few words may fit several. Beside, for both, the
    share of pictures that are right: a rewritten caption that states less is easier, and raises the ratio.
    """
    name, title = f"retrieval.paraphrases.{language}", f"paraphrases: R@1, ratio to plain, {NAMES[language]}"
    if paraphrases is None or not paraphrases.plain:
        return not_measured(name, title, "none of these scenes' captions can be rewritten", PARAPHRASED)
    if paraphrases.further:
        more = vectors(models.encode_pictures(each.pixels for each in paraphrases.further))
        pictures = np.concatenate((pictures, more))
    truths = [true_facts(each.scene) for each in (*scenes, *paraphrases.further)]

    def right(encode: TextsEncoded, said: Sequence[SceneCaption]) -> NDArray[np.bool_]:
        return nearest_is_true(encode([each.text for each in said]) @ pictures.T, said, truths)

    plain, rewritten = (right(models.encode_texts, said) for said in (paraphrases.plain, paraphrases.rewritten))
    theirs = {
        name: ratio(right(other, paraphrases.rewritten), right(other, paraphrases.plain))
        for name, other in others.items()
    }
    return Figure(
        name=name,
        title=title,
        estimate=ratio(rewritten, plain),
        target=PARAPHRASED,
        beside={
            **theirs,
            "R@1 plain": mean(plain),
            "R@1 rewritten": mean(rewritten),
            "chance plain": _chance(paraphrases.plain, truths),
            "chance rewritten": _chance(paraphrases.rewritten, truths),
        },
        note=f"among {len(truths)} scenes",
    )


def _chance(said: Sequence[SceneCaption], truths: Sequence[frozenset[Fact]]) -> float:
    """How often a picture drawn by lot is one of which all that a text states is true."""
    return float(np.mean([[each.facts <= truth for truth in truths] for each in said]))


def nearest_is_true(
    similarity: NDArray[np.float32], said: Sequence[SceneCaption], truths: Sequence[frozenset[Fact]]
) -> NDArray[np.bool_]:
    """(T, N) of T texts to N pictures -> (T,): whether all that a text states is true of its nearest picture."""
    nearest = similarity.argmax(axis=1)
    return np.array([each.facts <= truths[index] for each, index in zip(said, nearest, strict=True)])
