"""Heads' answers on held-out pictures, with a classifier that tells red from blue."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import pytest

from services.training.data.pack import SPLITS, Pack
from services.training.evaluation.classification import (
    constant_guess,
    measure_pictograms,
    measure_scenes,
    measure_zero_shot,
    nearest_picture_top1,
    rows_of,
)
from services.training.evaluation.served import Labels, ServedModels
from services.training.tiny import tiny_pack
from tests.services.training.evaluation.fakes import FakeTexts, fakes
from tests.services.training.evaluation.scenery import captioned, thing


def colour_pack() -> Pack:
    """Concepts red, blue and green; two training pictures of each, and a held-out one, of which green's looks blue."""
    pack = tiny_pack()
    colours = {"red": (250, 0, 0), "blue": (0, 0, 250), "green": (0, 250, 0)}
    concepts = tuple(dataclasses.replace(pack.concepts[0], id=name, en=name) for name in colours)
    shades = [colours[name] for name in colours for _ in range(3)]
    shades[8] = (0, 60, 200)
    return dataclasses.replace(
        pack,
        pixels=np.array(shades, np.uint8)[:, None, None].repeat(64, 1).repeat(64, 2),
        alpha=np.full((9, 64, 64), 255, np.uint8),
        concept=np.repeat(np.arange(3), 3),
        style=np.tile(np.arange(3), 3),
        split=np.tile(np.array([0, 0, SPLITS.index("test_pair")], np.uint8), 3),
        concepts=concepts,
    )


def test_concept_that_the_model_does_not_know_counts_as_wrong() -> None:
    pack = colour_pack()
    figures = {each.name: each for each in measure_pictograms(fakes(), pack, rows_of(pack, "test_pair"))}
    top1 = figures["classification.pictograms.top1"]
    assert top1.estimate is not None and top1.estimate.value == pytest.approx(2 / 3)
    known = top1.beside["of those it knows"]
    assert not isinstance(known, float) and known.value == 1
    assert "knows 2 of 3 concepts" in top1.note
    calibration = figures["classification.pictograms.calibration"].estimate
    assert calibration is not None and calibration.value == pytest.approx(0.75 - 2 / 3)


def test_zero_shot_is_right_where_the_name_of_the_concept_is_the_nearest() -> None:
    """Green's held-out picture looks blue; in Chinese two names mean each other's colour."""
    pack = colour_pack()
    concepts = tuple(dataclasses.replace(one, zh=f"{one.en} in Chinese") for one in pack.concepts)
    means = {"red": [1, 0, 0], "blue": [0, 0, 1], "green": [0, 1, 0]}
    means |= {"red in Chinese": [0, 0, 1], "blue in Chinese": [1, 0, 0], "green in Chinese": [0, 1, 0]}
    pack = dataclasses.replace(pack, concepts=concepts)
    found = measure_zero_shot(fakes(text=FakeTexts(means)), pack, rows_of(pack, "test_pair"))
    values = {each.name.rpartition(".")[2]: each.estimate.value for each in found if each.estimate is not None}
    assert values == {"en": pytest.approx(2 / 3), "zh": 0}
    assert found[0].beside == {"chance": pytest.approx(1 / 3)}


def test_nearest_picture_is_one_of_training() -> None:
    pack = colour_pack()
    assert nearest_picture_top1(pack, rows_of(pack, "test_pair")).value == pytest.approx(2 / 3)


def test_head_that_a_model_lacks_is_not_measured() -> None:
    figures = {each.name: each for each in measure_scenes(fakes(), [captioned("meadow", thing("cat"))])}
    objects = figures["classification.scenes.objects"]
    assert objects.reached == "not measured" and "no head 'objects'" in objects.note
    assert objects.target.must == 0.9


class AllHeads(ServedModels):
    """Sees a cat in every picture, rather surely, and the beach."""

    def __init__(self) -> None:
        """Without predictors."""

    def classify(self, pictures: Iterable[object], *, top_k: int = 1) -> list[Labels]:
        from services.classification.items import LabelScore

        def scored(**probabilities: float) -> tuple[LabelScore, ...]:
            return tuple(LabelScore(id=name, text="", probability=each) for name, each in probabilities.items())

        seen: Labels = {
            "objects": scored(cat=0.9, dog=0.3),
            "background": scored(beach=0.8, meadow=0.2),
            "colour": scored(red=0.6, black=0.1),
        }
        return [seen for _ in pictures]


def test_objects_are_those_likely_to_be_there() -> None:
    scenes = [captioned("beach", thing("cat", "red")), captioned("meadow", thing("cat"), thing("dog", left=0.6))]
    figures = {each.name: each for each in measure_scenes(AllHeads(), scenes)}
    found = {name: figure.estimate.value for name, figure in figures.items() if figure.estimate}
    assert found["classification.scenes.objects"] == pytest.approx(2 * 2 / (2 + 3))
    assert found["classification.scenes.background"] == pytest.approx(0.5)
    assert found["classification.scenes.colours"] == pytest.approx(2 * 1 / (2 + 1))


def test_chance_is_the_best_that_one_answer_for_all_can_do() -> None:
    assert constant_guess([{"cat"}, {"cat"}, {"cat", "dog"}, {"owl"}]) == {"cat"}
    assert constant_guess([{"cat", "dog"}, {"cat", "dog"}]) == {"cat", "dog"}


def test_rows_are_thinned_evenly() -> None:
    pack = tiny_pack()
    rows = rows_of(pack, "train")
    few = rows_of(pack, "train", 3)
    assert len(few) == 3 and few[0] == rows[0] and few[-1] == rows[-1]
