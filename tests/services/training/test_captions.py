"""Captions read as people write, in both languages."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from services.training.data.captions import STYLE_WORDS, clean_caption, random_caption
from services.training.data.pack import Concept
from services.training.data.sources import STYLES


def concept(**changes: str) -> Concept:
    words = {"id": "black-cat", "article": "a", "en": "black cat", "measure": "只", "zh": "黑猫"} | changes
    return Concept(**words, en_synonyms=(), zh_synonyms=(), en_tags=("luck",), zh_tags=("运气",), group="", subgroup="")


def test_clean_captions_have_article_and_measure_word() -> None:
    assert clean_caption(concept(), "en") == "a black cat"
    assert clean_caption(concept(), "zh") == "一只黑猫"
    assert clean_caption(concept(article="", en="grapes"), "en") == "grapes"


def test_caption_names_the_style_exactly_when_it_says_so() -> None:
    rng = random.Random(0)
    for style in STYLES:
        words = [word for side in STYLE_WORDS[style] for word in side]
        for _ in range(200):
            caption = random_caption(concept(), style, rng, loose=0)
            assert any(word in caption.text.lower() for word in words) == caption.names_style, caption.text


def test_every_tight_caption_names_the_concept() -> None:
    rng = random.Random(1)
    captions = [random_caption(concept(), "noto", rng, loose=0).text.lower() for _ in range(300)]
    assert all("black cat" in caption or "黑猫" in caption for caption in captions)


def test_loose_captions_are_only_related_words() -> None:
    rng = random.Random(2)
    assert {random_caption(concept(), "noto", rng, loose=1).text for _ in range(50)} == {"luck", "运气"}


def test_article_fits_the_word_after_it() -> None:
    rng = random.Random(3)
    captions = [
        random_caption(concept(article="an", en="apple"), "noto", rng, loose=0).text.lower() for _ in range(500)
    ]
    assert not [caption for caption in captions if "a apple" in caption or "an little" in caption]


@pytest.mark.parametrize(
    ("article", "noun", "wrong"),
    [
        ("a", "unicorn", "an unicorn"),
        ("an", "hourglass", "a hourglass"),
        ("an", "apple", "a apple"),
    ],
)
def test_article_goes_by_sound_in_every_kind_of_caption(article: str, noun: str, wrong: str) -> None:
    rng = random.Random(5)
    thing = replace(concept(article=article, en=noun), en_synonyms=(noun,))
    texts = [random_caption(thing, "noto", rng, loose=0).text.lower() for _ in range(400)]
    assert not [text for text in texts if wrong in text]


def test_synonym_has_an_article_of_its_own() -> None:
    rng = random.Random(6)
    books = replace(concept(article="", en="books"), en_synonyms=("stack of books", "novels"))
    texts = " | ".join(random_caption(books, "noto", rng, loose=0).text.lower() for _ in range(600))
    assert "a stack of books" in texts
    assert "a novels" not in texts
