"""What the generator paints from held-out prompts, as the judge sees it, beside real pictures of the same prompts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.training.data.meanings import LANGUAGES
from services.training.data.scenes.truth import Fact
from services.training.evaluation.bootstrap import Estimate, difference
from services.training.evaluation.figures import Figure, Target
from services.training.evaluation.judge import Judge
from services.training.evaluation.painted import Scored, ratio_to_real, score_pictures
from services.training.evaluation.pictograms import PICTOGRAMS
from services.training.evaluation.scenes import CaptionedScene
from services.training.evaluation.served import ServedModels, vectors

CANDIDATES = 8
_TITLES = {
    "object": "object recall",
    "colour": "colour binding",
    "background": "background",
    "relation": "relations",
}
_TARGETS = {
    "object": Target(must=0.50, goal=0.90),
    "colour": Target(must=0.50, goal=0.85),
    "background": Target(must=0.90, goal=0.98),
}
RELATION_GOAL = 0.80
GAIN = Target(above=0.0, goal=0.05)
FIGURES = (
    *(
        (f"text_to_image.scenes.{aspect}", f"text to scene: {title}, ratio to real",
         _TARGETS.get(aspect, Target(goal=RELATION_GOAL)))
        for aspect, title in _TITLES.items()
    ),
    ("text_to_image.pictograms.top1", "text to pictogram, held-out pairs: concept top-1, ratio to real", PICTOGRAMS),
    ("text_to_image.candidates.gain", "gain of candidates = 8 over 1, object recall", GAIN),
)  # fmt: skip
"""Names, titles and targets of all figures that need the judge."""


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """N captions of held-out scenes, half English, half Chinese, as points of the joint space."""

    scenes: Sequence[CaptionedScene]
    texts: tuple[str, ...]
    languages: tuple[str, ...]
    vectors: NDArray[np.float32]

    @property
    def facts(self) -> list[frozenset[Fact]]:
        """What each text states."""
        return [each.captions[lang].facts for each, lang in zip(self.scenes, self.languages, strict=True)]


def prompts_of(models: ServedModels, scenes: Sequence[CaptionedScene]) -> Prompts:
    """One caption of each scene, the languages in turn."""
    languages = tuple(LANGUAGES[index % len(LANGUAGES)] for index in range(len(scenes)))
    texts = tuple(each.captions[lang].text for each, lang in zip(scenes, languages, strict=True))
    return Prompts(scenes=scenes, texts=texts, languages=languages, vectors=models.encode_texts(texts))


def measure_scenes(models: ServedModels, judge: Judge, prompts: Prompts) -> tuple[list[Figure], NDArray[np.uint8]]:
    """The four aspects of the prompts' facts as ratios to real scenes, and the painted pictures.

    Each prompt is painted once, its number being the seed. Beside: what the judge finds in painted and in real pictures
    (the ceiling), and the ratio of pictures that were painted for the next prompt.
    """
    count = len(prompts.texts)
    painted = np.stack(list(models.paint(prompts.vectors, range(count))))
    shuffled = np.stack(list(models.paint(np.roll(prompts.vectors, -1, axis=0), range(count))))
    real = np.stack([each.pixels for each in prompts.scenes])
    scores, without, ceiling = (score_pictures(judge, each, prompts.facts) for each in (painted, shuffled, real))
    figures = [_aspect(aspect, scores, without, ceiling, painted.shape[1]) for aspect in _TITLES]
    return figures, painted


def _aspect(aspect: str, painted: Scored, shuffled: Scored, real: Scored, side: int) -> Figure:
    shuffled_ratio = ratio_to_real(shuffled, real, aspect)
    chance = shuffled_ratio.high if math.isfinite(shuffled_ratio.high) else 0.0  # none where real ones show nothing
    target = _TARGETS.get(aspect) or Target(above=chance, goal=RELATION_GOAL)
    return Figure(
        name=f"text_to_image.scenes.{aspect}",
        title=f"text to scene: {_TITLES[aspect]}, ratio to real",
        estimate=ratio_to_real(painted, real, aspect),
        target=target,
        beside={
            "painted": painted.share(aspect),
            "real": real.share(aspect),
            "shuffled captions, ratio": shuffled_ratio,
        },
        note=f"painted at {side} px",
    )


def measure_gain(models: ServedModels, judge: Judge, prompts: Prompts) -> tuple[Figure, NDArray[np.uint8]]:
    """What choosing the best of 8 gains in the judge's object recall, and the chosen pictures.

    The choice is the gateway's (`gateway/painting.py`): of the candidates, the one whose encoding has the greatest
    cosine with the prompt's; of equals the earlier seed. One is the first candidate.
    """
    count = len(prompts.texts)
    seeds = [CANDIDATES * index + number for index in range(count) for number in range(CANDIDATES)]
    painted = list(models.paint(np.repeat(prompts.vectors, CANDIDATES, axis=0), seeds))
    seen = vectors(models.encode_pictures(painted)).reshape(count, CANDIDATES, -1)
    best = np.einsum("nv,ncv->nc", prompts.vectors, seen).argmax(axis=1)
    first = np.stack(painted[::CANDIDATES])
    chosen = np.stack([painted[CANDIDATES * index + number] for index, number in enumerate(best)])
    one, eight = (score_pictures(judge, each, prompts.facts) for each in (first, chosen))
    asked = one.asked["object"] > 0
    gain = difference(eight.rates("object")[asked], one.rates("object")[asked])
    beside: dict[str, Estimate | float] = {"1 candidate": one.share("object"), "8 candidates": eight.share("object")}
    return (
        Figure(
            name="text_to_image.candidates.gain",
            title="gain of candidates = 8 over 1, object recall",
            estimate=gain,
            target=GAIN,
            beside=beside,
        ),
        chosen,
    )
