"""The table of classes is sound: every name is one class's alone, every class has a place and art."""

from __future__ import annotations

from collections import Counter

from services.training.data.scenes.classes import BACKGROUNDS, object_classes
from services.training.data.scenes.wording import BACKGROUND_WORDS, RELATION_WORDS, SCENE_WORDS, VERB_WORDS
from services.training.data.sources import STYLES


def test_names_are_those_of_one_class_alone() -> None:
    english = Counter(name for each in object_classes().values() for name in {*each.names, *each.plurals})
    chinese = Counter(name for each in object_classes().values() for name in {*each.zh})
    assert [name for name, count in (english | chinese).items() if count > 1] == []


def test_every_name_has_its_plural() -> None:
    for each in object_classes().values():
        assert len(each.names) == len(each.plurals), each.kind


def test_every_class_has_a_known_place_and_stance() -> None:
    for each in object_classes().values():
        assert set(each.stances) <= set(BACKGROUNDS)
        assert set(each.stances.values()) <= {"ground", "far", "float", "sky", "swim", "drift"}
        assert each.stances, each.kind


def test_every_background_has_many_classes_to_show() -> None:
    for background in BACKGROUNDS:
        assert sum(background in each.stances for each in object_classes().values()) >= 6


def test_styles_that_art_does_not_fit_are_known_styles() -> None:
    for each in object_classes().values():
        unfit = {style for piece in each.pieces for style in piece.unfit} | set(each.unpaintable)
        assert unfit <= set(STYLES), each.kind


def test_words_that_are_kept_for_paraphrase_tests_are_in_no_caption() -> None:
    words = {name for each in object_classes().values() for name in (*each.names, *each.plurals, *each.zh)}
    assert not words & {"kitty", "automobile", "小猫咪"}


def test_both_languages_name_every_background_relation_and_verb() -> None:
    assert set(BACKGROUND_WORDS["en"]) == set(BACKGROUND_WORDS["zh"]) == set(SCENE_WORDS) == set(BACKGROUNDS)
    assert set(RELATION_WORDS["en"]) == set(RELATION_WORDS["zh"])
    drawn = {piece.verb for each in object_classes().values() for piece in each.pieces if piece.verb}
    assert set(VERB_WORDS["en"]) == set(VERB_WORDS["zh"]) == drawn
