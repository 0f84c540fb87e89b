"""What the image encoder's heads say of pictures that it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from services.training.data.captions import label as name_of
from services.training.data.meanings import LANGUAGES
from services.training.data.pack import SPLITS, Pack
from services.training.evaluation.bootstrap import Estimate, calibration_error, f1, mean
from services.training.evaluation.figures import NAMES, Figure, Target, not_measured
from services.training.evaluation.scenes import CaptionedScene, nearest, thumbnails
from services.training.evaluation.served import Labels, ServedModels, vectors

CONCEPT = Target(must=0.60, goal=0.80)
OBJECTS = Target(must=0.90, goal=0.97)
BACKGROUND = Target(must=0.99, goal=0.99)
LIKELY = 0.5
"""Objects and colours of at least this probability are said to be there."""
ALL_LABELS = 10_000


def rows_of(pack: Pack, split: str, most: int | None = None) -> NDArray[np.intp]:
    """The pack's rows of a split, evenly thinned to `most`."""
    rows = np.flatnonzero(pack.split == SPLITS.index(split))
    if most is None or len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.intp)]


def measure_pictograms(models: ServedModels, pack: Pack, rows: NDArray[np.intp]) -> list[Figure]:
    """Concept top-1, and how well its probability is calibrated, on held-out (concept, style family) pairs.

    A concept that the model does not know counts as wrong. Beside: the concept of the training picture that is nearest
    by 16 x 16 pixels.
    """
    known = models.concepts()
    wanted = [pack.concepts[index].id for index in pack.concept[rows]]
    answers = models.classify(pack.pixels[rows])
    first = [each["concept"][0] for each in answers]
    right = np.array([label.id == name for label, name in zip(first, wanted, strict=True)])
    beside: dict[str, Estimate | float] = {"16x16 nearest": nearest_picture_top1(pack, rows)}
    note = ""
    if unknown := len({each.id for each in pack.concepts} - known):
        note = f"the model knows {len(pack.concepts) - unknown} of {len(pack.concepts)} concepts"
        if (familiar := np.array([name in known for name in wanted])).any():
            beside["of those it knows"] = mean(right[familiar])
    figures = [
        Figure(name="classification.pictograms.top1", title="pictograms: concept top-1, held-out pairs",
               estimate=mean(right), target=CONCEPT, beside=beside, note=note),
        Figure(name="classification.pictograms.calibration",
               title="pictograms: expected calibration error of the concept",
               estimate=calibration_error([label.probability for label in first], right)),
    ]  # fmt: skip
    for head, true in (
        ("subgroup", [pack.concepts[index].subgroup for index in pack.concept[rows]]),
        ("style", [pack.styles[index] for index in pack.style[rows]]),
    ):
        figures.append(_one_of(f"classification.pictograms.{head}", f"pictograms: {head}", head, answers, true))
    return figures


def measure_zero_shot(models: ServedModels, pack: Pack, rows: NDArray[np.intp]) -> list[Figure]:
    """How often the name of the right concept, among the names of all, is the nearest to a held-out picture."""
    seen = vectors(models.encode_pictures(pack.pixels[rows]))
    return [
        Figure(
            name=f"classification.pictograms.zero_shot.{language}",
            title=f"pictograms: zero-shot among all names, {NAMES[language]}",
            estimate=mean(
                (seen @ models.encode_texts([name_of(one, language) for one in pack.concepts]).T).argmax(axis=1)
                == pack.concept[rows]
            ),
            beside={"chance": 1 / len(pack.concepts)},
        )
        for language in LANGUAGES
    ]


def nearest_picture_top1(pack: Pack, rows: NDArray[np.intp]) -> Estimate:
    """How often the nearest training picture, by 16 x 16 pixels, shows the right concept."""
    training = np.flatnonzero(pack.train)
    found = nearest(thumbnails(list(pack.pixels[rows])), thumbnails(list(pack.pixels[training])))
    return mean(pack.concept[training[found]] == pack.concept[rows])


def measure_scenes(models: ServedModels, scenes: Sequence[CaptionedScene]) -> list[Figure]:
    """Objects (micro F1 over scenes and classes), background, colours and calibration, on held-out scenes."""
    answers = models.classify((each.pixels for each in scenes), top_k=ALL_LABELS)
    backgrounds = [each.scene.background for each in scenes]
    objects = [{each.kind for each in scene.scene.objects} for scene in scenes]
    colours = [{each.colour for each in scene.scene.objects if each.colour} for scene in scenes]
    return [
        *_several("classification.scenes.objects", "scenes: objects present, F1", "objects", answers, objects, OBJECTS),
        _one_of(
            "classification.scenes.background", "scenes: background", "background", answers, backgrounds, BACKGROUND
        ),
        *_several("classification.scenes.colours", "scenes: colours present, F1", "colour", answers, colours),
    ]


def _one_of(name: str, title: str, head: str, answers: Sequence[Labels], true: Sequence[str],
            target: Target | None = None) -> Figure:  # fmt: skip
    """Share of pictures whose likeliest label of a head is right; beside, the commonest label's share."""
    if head not in answers[0]:
        return not_measured(name, title, f"the model has no head {head!r}", target)
    right = [answer[head][0].id == wanted for answer, wanted in zip(answers, true, strict=True)]
    chance = max(true.count(each) for each in set(true)) / len(true)
    return Figure(name=name, title=title, estimate=mean(right), target=target or Target(), beside={"chance": chance})


def _several(name: str, title: str, head: str, answers: Sequence[Labels], true: Sequence[set[str]],
             target: Target | None = None) -> list[Figure]:  # fmt: skip
    """F1 of the labels said to be there, and the calibration of each label's probability."""
    if head not in answers[0]:
        return [not_measured(name, title, f"the model has no head {head!r}", target)]
    scores: list[Mapping[str, float]] = [{each.id: each.probability for each in one[head]} for one in answers]
    said = [{label for label, sure in one.items() if sure >= LIKELY} for one in scores]
    sure = np.array([list(one.values()) for one in scores])
    there = np.array([[label in wanted for label in one] for one, wanted in zip(scores, true, strict=True)])
    likely = sure >= LIKELY
    beside = (
        {"of what is said to be there": calibration_error(sure[likely], there[likely]).value} if likely.any() else {}
    )
    return [
        Figure(name=name, title=title, estimate=_f1(said, true), target=target or Target(),
               beside={"chance": _f1([constant_guess(true)] * len(true), true)}),
        Figure(name=f"{name}.calibration", title=f"{title.split(',')[0]}: expected calibration error",
               estimate=calibration_error(sure, there), beside=beside,
               note="of all labels, of which most are surely not there"),
    ]  # fmt: skip


def constant_guess(true: Sequence[set[str]]) -> set[str]:
    """The one answer for all pictures that has the most F1: the commonest labels, as many as pay."""
    counts: dict[str, int] = {}
    for label in (label for one in true for label in one):
        counts[label] = counts.get(label, 0) + 1
    ranked = sorted(counts, key=lambda label: (-counts[label], label))
    total = sum(counts.values())
    hits = np.cumsum([counts[label] for label in ranked])
    scores = 2 * hits / (np.arange(1, len(ranked) + 1) * len(true) + total)
    return set(ranked[: int(scores.argmax()) + 1])


def _f1(said: Sequence[set[str]], true: Sequence[set[str]]) -> Estimate:
    hits = [len(one & wanted) for one, wanted in zip(said, true, strict=True)]
    return f1(hits, [len(one) for one in said], [len(wanted) for wanted in true])
