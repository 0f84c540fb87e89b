"""Captions against what is true of the scene, and against the names of concepts."""

from __future__ import annotations

import dataclasses

import pytest

from services.training.evaluation.captions import (
    count_facts,
    measure_pictogram_captions,
    measure_scene_captions,
    named_concepts,
    tuple_f1,
)
from services.training.tiny import tiny_pack
from tests.services.training.evaluation.fakes import FakeCaptioner, fakes
from tests.services.training.evaluation.scenery import captioned, thing

SCENE = captioned("meadow", thing("cat", "black", left=0.1), thing("dog", left=0.6))
"""A black cat to the left of a dog, in a meadow: two objects, a colour, a background, a relation."""


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        (SCENE.captions["en"].text, (5, 5, 5, 5)),
        ("a dog to the right of a black cat in a meadow", (5, 5, 5, 5)),  # the relation told the other way round
        ("a cat and a dog on the grass", (3, 3, 5, 3)),  # leaves out colour and relation
        ("a red cat and a dog on the beach", (4, 2, 5, 2)),  # two mistakes
        ("nonsense", (0, 0, 5, 0)),
    ],
)
def test_facts_of_a_caption_are_counted_against_the_truth(text: str, counts: tuple[int, ...]) -> None:
    assert dataclasses.astuple(count_facts(text, "en", SCENE)) == counts


def test_any_true_relation_will_do() -> None:
    scene = captioned("meadow", thing("cat", left=0.05), thing("dog", left=0.4), thing("horse", left=0.75))
    told = count_facts("a dog to the left of a horse and a cat in a meadow", "en", scene)
    assert told.found == told.wanted


def test_tuple_f1_is_the_harmonic_mean_over_all_captions() -> None:
    counts = [
        count_facts(text, "en", SCENE) for text in (SCENE.captions["en"].text, "a red cat and a dog on the beach")
    ]
    precision, recall = 7 / 9, 7 / 10
    assert tuple_f1(counts).value == pytest.approx(2 * precision * recall / (precision + recall))
    assert tuple_f1([count_facts("nonsense", "en", SCENE)]).value == 0


def test_captions_that_say_all_have_a_score_of_one_beside_that_of_the_nearest_training_scene() -> None:
    captioner = FakeCaptioner({language: SCENE.captions[language].text for language in ("en", "zh")})
    training = [captioned("beach", thing("cat", "black"))]
    figures, written = measure_scene_captions(fakes(captioning=captioner), [SCENE], training)
    for figure in figures:
        assert figure.estimate is not None and figure.estimate.value == 1
        nearest = figure.beside["nearest training scene"]
        assert not isinstance(nearest, float) and nearest.value < 1
    assert written["en"] == [SCENE.captions["en"].text]


def test_longest_name_in_a_caption_is_the_one_that_counts() -> None:
    cat, dog, house, apple = tiny_pack().concepts
    black = dataclasses.replace(cat, id="black-cat", en="black cat", zh="黑猫")
    concepts = (cat, black, dog, house, apple)
    assert named_concepts("A black cat.", concepts, "en") == {"black-cat"}
    assert named_concepts("一只黑猫", concepts, "zh") == {"black-cat"}
    assert named_concepts("a cat", concepts, "en") == {"cat"}
    assert named_concepts("a category", concepts, "en") == set()


def test_caption_may_name_a_concept_by_a_synonym() -> None:
    cat, *rest = tiny_pack().concepts
    assert named_concepts("a kitty", (dataclasses.replace(cat, en_synonyms=("kitty",)), *rest), "en") == {"cat"}


def test_share_of_captions_naming_the_concept_is_over_all_rows() -> None:
    import numpy as np

    pack = tiny_pack()
    rows = np.flatnonzero(pack.concept <= 1)  # cats and dogs alike
    models = fakes(captioning=FakeCaptioner({"en": "a dog", "zh": "一只猫"}))
    figures, _ = measure_pictogram_captions(models, pack, rows)
    assert [figure.estimate.value for figure in figures if figure.estimate] == pytest.approx([0.5, 0.5])
