"""Captions in other words say the same, are grammatical where that is easy, and never hold a word of the tests."""

from __future__ import annotations

import random
import re
from random import Random

import pytest

from services.training.encoding.rewriter import BareWords, Rewriter, plural
from services.training.rewording.unseen import tells, words_of_tests
from tests.services.training.data.tiny_lexicon import tiny_lexicon


def reworded(text: str, language: str, *, seed: int = 0) -> list[str]:
    """The text in 400 wordings."""
    rewriter = Rewriter(tiny_lexicon(), seed=seed)
    return [rewriter.reword(text, language) for _ in range(400)]


def test_words_come_from_definitions_beliefs_and_other_names() -> None:
    rewriter = Rewriter(tiny_lexicon(), seed=0)
    assert set(rewriter.synonyms("dog", "en")) == {"hound", "doggie", "lap hound"} - words_of_tests()
    assert rewriter.synonyms("wolf", "en") == ["she-wolf"]
    assert "狗" in rewriter.synonyms("犬", "zh")


@pytest.mark.parametrize(("text", "language"), [("a dog and three dogs", "en"), ("一只狗和一只犬", "zh")])
def test_no_wording_holds_a_word_of_the_tests(text: str, language: str) -> None:
    asked = words_of_tests()
    for wording in reworded(text, language):
        words = re.findall(r"[a-z-]+", wording) if language == "en" else [wording]
        assert not [word for word in words if word.isascii() and tells(word, asked)], wording
        if language == "zh":
            assert not [word for word in asked if not word.isascii() and word in wording], wording


def test_one_stays_one_and_several_stay_several() -> None:
    wordings = " | ".join(reworded("a dog left of three dogs", "en"))
    assert "a lap hound" in wordings and "three lap hounds" in wordings
    assert "an lap" not in wordings and "three lap hound " not in wordings


def test_what_stands_between_chinese_words_never_splits_a_name() -> None:
    wordings = reworded("一只犬和一只犬", "zh")
    assert any(len(wording) > 12 for wording in wordings)  # some are padded
    assert all(len(re.findall("犬|狗|汪星人", wording)) >= 2 for wording in wordings)


def test_clauses_change_places() -> None:
    wordings = reworded("the sun, a wolf, the moon", "en")
    assert any(wording.find("moon") < wording.find("sun") for wording in wordings)


def test_equal_seeds_give_equal_wordings() -> None:
    assert reworded("a dog", "en", seed=3) == reworded("a dog", "en", seed=3) != reworded("a dog", "en", seed=4)


def test_a_bare_word_is_the_things_that_it_is_near_to_the_nearest_most() -> None:
    words, rng = Rewriter(tiny_lexicon(), seed=0).bare["en"], Random(0)
    bare = dict(words.draw(rng) for _ in range(200))
    assert bare["lap hound"][0][0] == "dog"
    assert sum(weight for _, weight in bare["lap hound"]) == pytest.approx(1)
    assert "dog" in words.names()


def test_bare_words_that_mean_one_thing_are_drawn_more_often() -> None:
    words, rng = BareWords([("hound", [("dog", 0.9), ("cat", 0.1)]), ("pet", [("dog", 0.3), ("cat", 0.3)])]), Random(0)
    drawn = [words.draw(rng)[0] for _ in range(2000)]
    assert drawn.count("hound") / drawn.count("pet") == pytest.approx(9, rel=0.25)


def test_neutral_words_stand_beside_a_word_and_not_in_it() -> None:
    rewriter = Rewriter(tiny_lexicon(), seed=0)
    texts = [rewriter.beside_neutral("lap hound", "en") for _ in range(50)]
    assert all(re.search(r"\blap hound\b", text) and 3 <= len(text.split()) <= 5 for text in texts)
    assert {text.startswith("lap hound") for text in texts} == {True, False}


@pytest.mark.parametrize(("one", "several"), [("fox", "foxes"), ("house cat", "house cats"), ("pony", "ponies")])
def test_plurals_of_regular_nouns(one: str, several: str) -> None:
    assert plural(one) == several


def test_drawing_is_the_rewriters_own() -> None:
    before = random.getstate()
    Rewriter(tiny_lexicon(), seed=0).reword("a dog", "en")
    assert random.getstate() == before
