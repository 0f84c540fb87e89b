"""The English test of paraphrases: its table, and captions in its words."""

from __future__ import annotations

import random
import re

import pytest

from services.training.data.scenes.classes import COLOURS, object_classes
from services.training.data.scenes.wording import BACKGROUND_WORDS, SCENE_WORDS, VERB_WORDS
from services.training.rewording.english import reword, unseen_synonyms


def _caption_words() -> set[str]:
    texts = [*COLOURS]
    texts += [name for each in object_classes().values() for name in (*each.names, *each.plurals)]
    texts += [
        word
        for table in (BACKGROUND_WORDS["en"], VERB_WORDS["en"], SCENE_WORDS)
        for row in table.values()
        for word in row
    ]
    return set(re.findall(r"[a-z]+", " ".join(texts)))


def test_no_test_synonym_is_a_word_of_captions() -> None:
    known = _caption_words()
    assert [each.word for each in unseen_synonyms() if set(each.word.split()) <= known] == []


def test_every_row_is_of_something_that_scenes_show() -> None:
    known = {"object": set(object_classes()), "colour": set(COLOURS), "verb": set(VERB_WORDS["en"])}
    for each in unseen_synonyms():
        assert each.name in known.get(each.kind, {each.name}), each
        assert bool(each.plural) == (each.kind == "object"), each
        assert each.relation in ("synonym", "narrower", "broader"), each


def test_equal_seeds_give_equal_words_and_others_may_not() -> None:
    caption = "two dogs and a red car on the street"
    assert reword(caption, 0) == reword(caption, 0)
    assert len({reword(caption, seed).text for seed in range(20)}) > 5


def test_number_and_article_fit_the_new_word() -> None:
    seen = {reword("a bus and two horses", seed).text for seed in range(40)}
    assert "an omnibus and two steeds" in seen
    assert not any(re.search(r"\ba [aeiou]|\ban [^aeiou]", text) for text in seen)


@pytest.mark.parametrize("caption", ["a kite over 3 palms", "three planets", "category"])
def test_a_caption_without_a_known_word_is_left_alone(caption: str) -> None:
    assert reword(caption, 0).text == caption
    assert reword(caption, 0).replaced == ()


def test_no_replaced_word_stays() -> None:
    rng = random.Random(0)
    names = [each.names[0] for each in object_classes().values()]
    for seed in range(100):
        caption = f"a {rng.choice(names)} left of a {rng.choice(names)}"
        reworded = reword(caption, seed)
        left = re.findall(r"[a-z]+", reworded.text)
        assert not {old for old, _ in reworded.replaced} & set(left), reworded
