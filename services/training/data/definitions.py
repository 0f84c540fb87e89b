"""What WordNet's definitions tell a teacher: which of the things that pictures can show a word means.

Alone, a rare word says little to a teacher ("brolly" is near to "woman"); with its definition beside it, MiniLM finds
the right one of 77 classes for 90 % of the words of the English test of paraphrases, and of the bare words for 54 %.
Definitions are read as they stand in the dictionary; which words are synonyms is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.training.data.everyday_words import gerund
from services.training.data.meanings import FAMILIES, NEAREST, Meaning
from services.training.data.wordnet import Sense, read_glosses, read_senses
from services.training.teachers.space import Vectors

Embed = Callable[[Sequence[str]], Vectors]

CHUNK = 2048
LONGEST = 16
"""Words of a definition: what follows is detail."""

_WORD = re.compile(r"[a-z]{2,}(?:[ -][a-z]{2,}){0,2}")
_COLOUR = re.compile(
    r"\b(?:colou?r|hue|shade|(?:redd|blu|green|yellow|purpl|pink|black)(?:ish)?|red|blue|purple|dark)\b"
)
_NOUN_FIELDS = {5, 6, 8, 13, 15, 17, 18, 19, 20}
"""Lexicographer files of beings, things, food, places, people, weather and plants."""
_DEED_FIELDS = {29, 35, 36, 38, 39}
_KINDS = {"n": ("object", "background", "concept"), "v": ("verb",), "a": ("colour",)}
"""Of meanings, by part of speech."""


@dataclass(frozen=True, kw_only=True)
class Definitions:
    """English words in alphabetical order, each with its sense that is nearest to something."""

    words: tuple[str, ...]
    nearest: NDArray[np.int16]
    """(N, 2, NEAREST) indices of meanings: for each family the nearest first."""
    similarity: NDArray[np.float16]
    """(N, 2, NEAREST): their cosines; -1 where a family has none of the word's kind."""


def read_definitions(node_modules: Path, meanings: Sequence[Meaning], minilm: Embed) -> Definitions:
    """Asks MiniLM about each visible sense of each word: 55,000 of them, minutes on a CPU."""
    asked = _asked(read_senses(node_modules), read_glosses(node_modules))
    owners = [index for index, meaning in enumerate(meanings) for _ in meaning.en]
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    names = minilm([_name(meaning, name) for meaning in meanings for name in meaning.en])
    fits = {part: np.array([meaning.kind in kinds for meaning in meanings]) for part, kinds in _KINDS.items()}
    families = [np.flatnonzero([meaning.family == family for meaning in meanings]) for family in FAMILIES]
    best: dict[str, tuple[NDArray[np.int16], NDArray[np.float16]]] = {}
    for first in range(0, len(asked), CHUNK):
        part = asked[first : first + CHUNK]
        cosines = minilm([f"{word}, {gloss}" for word, _, gloss in part]) @ names.T
        nearness = np.maximum.reduceat(cosines, starts, axis=1)  # (N, M)
        for (word, letter, _), row in zip(part, nearness, strict=True):
            found = _nearest(np.where(fits[letter], row, -1.0), families)
            best[word] = found if word not in best else _nearer(best[word], found)
    words = tuple(sorted(best))
    return Definitions(
        words=words,
        nearest=np.stack([best[word][0] for word in words]),
        similarity=np.stack([best[word][1] for word in words]),
    )


def _asked(senses: Sequence[Sense], glosses: dict[tuple[str, int], str]) -> list[tuple[str, str, str]]:
    """(word, part of speech, definition) of the visible senses; verbs in their "-ing" form."""
    asked = []
    for sense in senses:
        gloss = " ".join(glosses[sense.part, sense.synset].split(";")[0].split()[:LONGEST])
        if not _WORD.fullmatch(sense.word) or sense.rank > 3:
            continue
        if sense.part == "n" and sense.field in _NOUN_FIELDS:
            asked.append((sense.word, "n", gloss))
        elif sense.part == "v" and sense.field in _DEED_FIELDS and sense.rank <= 2 and " " not in sense.word:
            asked.append((gerund(sense.word), "v", gloss))
        elif sense.part == "a" and sense.rank <= 2 and _COLOUR.search(gloss):
            asked.append((sense.word, "a", gloss))
    return asked


def _name(meaning: Meaning, name: str) -> str:
    return f"a {name}" if meaning.kind in ("object", "concept") else name


def _nearest(
    nearness: NDArray[np.floating], families: Sequence[NDArray[np.intp]]
) -> tuple[NDArray[np.int16], NDArray[np.float16]]:
    order = [columns[np.argsort(-nearness[columns], kind="stable")[:NEAREST]] for columns in families]
    return np.stack(order).astype(np.int16), np.stack([nearness[one] for one in order]).astype(np.float16)


def _nearer(
    one: tuple[NDArray[np.int16], NDArray[np.float16]], other: tuple[NDArray[np.int16], NDArray[np.float16]]
) -> tuple[NDArray[np.int16], NDArray[np.float16]]:
    """Of two senses, for each family the one that is nearer to something."""
    first = one[1][:, :1] >= other[1][:, :1]  # (families, 1)
    return np.where(first, one[0], other[0]), np.where(first, one[1], other[1])
