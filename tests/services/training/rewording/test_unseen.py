"""What the lexicon keeps out of captions."""

from __future__ import annotations

import pytest

from services.training.rewording.unseen import tells, words_of_tests


@pytest.mark.parametrize("word", ["pooch", "小轿车", "轿车"])
def test_word_of_a_test_and_its_parts_in_chinese_stay_out_of_captions(word: str) -> None:
    assert tells(word, words_of_tests())


@pytest.mark.parametrize("word", ["doggy", "汪星人"])
def test_other_words_do_not(word: str) -> None:
    assert not tells(word, words_of_tests())


def test_part_of_an_english_word_is_another_word() -> None:
    assert not tells("ham", frozenset({"hamlet"}))
