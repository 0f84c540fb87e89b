"""Reads captions back into facts: the inverse of `captions.py`, and tolerant, since it also reads what models write.

A caption becomes a row of known phrases, longest first; words in between that are unknown are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import chain

from services.training.data.scenes.classes import COLOURS, object_classes
from services.training.data.scenes.truth import Fact
from services.training.data.scenes.wording import (
    BACKGROUND_WORDS,
    NUMBERS,
    PRONOUNS,
    RELATION_WORDS,
    SCENE_WORDS,
    TRAILING_RELATIONS,
    VERB_WORDS,
)

_PIECE = re.compile(r"[a-z0-9]+|[.;,!?]")
_CLAUSE_ENDS = {"en": ".;!?", "zh": "，。；,.;!！?？"}


def parse(text: str, language: str) -> frozenset[Fact]:
    """What a caption in `en` or `zh` states."""
    reader = _Reader()
    for what, value in _events(text, language):
        reader.take(what, value, language)
    return frozenset(reader.facts)


@dataclass
class _Reader:
    """Noun phrases of the clause so far, words that wait for their noun, and a relation that waits for its second."""

    facts: set[Fact] = field(default_factory=set)
    clause: list[str] = field(default_factory=list)
    waiting: list[tuple[str, str]] = field(default_factory=list)
    opened: bool = False
    relation: tuple[str, list[str]] | None = None
    """English: its kind and subjects. Chinese: its kind and, as the only member, its object."""

    def take(self, what: str, value: str, language: str) -> None:
        """One known phrase."""
        if what == "end":
            self.clause, self.waiting, self.relation, self.opened = [], [], None, False
        elif what == "article":
            self.waiting, self.opened = [], True
        elif what in ("count", "colour"):
            self.waiting = [*(self.waiting if what == "colour" else []), (what, value)]
            self.opened = True
        elif what == "verb":
            if self.opened or language == "zh" or not self.clause:
                self.waiting.append((what, value))
            else:
                self.facts.add(Fact("verb", (self.clause[-1], value)))
        elif what == "background":
            self.facts.add(Fact("background", (value,)))
        elif what == "noun":
            self._noun(value, language)
        elif what == "trailing":
            if len(self.clause) > 1:
                self.facts.add(Fact("relation", (self.clause[-1], value, self.clause[-2])))
        elif language == "en":
            self.relation = (value, list(self.clause))
        elif self.clause:
            *subjects, other = self.clause
            self._relate(subjects, value, other)
            self.relation = None if subjects else (value, [other])

    def _noun(self, kind: str, language: str) -> None:
        self.facts.add(Fact("object", (kind,)))
        self.facts |= {Fact(what, (kind, value)) for what, value in self.waiting}
        self.waiting, self.opened = [], False
        if self.relation is not None:
            relation, others = self.relation
            if language == "en":
                self._relate(others, relation, kind)
                self.relation = None
            else:
                self._relate([kind], relation, others[0])
        self.clause.append(kind)

    def _relate(self, subjects: list[str], relation: str, other: str) -> None:
        self.facts |= {Fact("relation", (each, relation, other)) for each in subjects if each != other}


def _events(text: str, language: str) -> Iterator[tuple[str, str]]:
    """(what, value) of each known phrase, longest match first."""
    table, longest = _phrases(language)
    pieces = tuple(_PIECE.findall(text.lower())) if language == "en" else tuple("".join(text.split()))
    position = 0
    while position < len(pieces):
        for length in range(min(longest, len(pieces) - position), 0, -1):
            found = table.get(pieces[position : position + length])
            if found is not None:
                yield found
                position += length
                break
        else:
            position += 1


@cache
def _phrases(language: str) -> tuple[dict[tuple[str, ...], tuple[str, str]], int]:
    """Every known phrase as its pieces (words in English, characters in Chinese), and the most pieces of one."""
    table: dict[tuple[str, ...], tuple[str, str]] = {}

    def add(words: str, what: str, value: str) -> None:
        table[tuple(words.split()) if language == "en" else tuple(words)] = (what, value)

    for end in _CLAUSE_ENDS[language]:
        add(end, "end", end)
    for kind, each in object_classes().items():
        for name in (*each.names, *each.plurals) if language == "en" else each.zh:
            add(name, "noun", kind)
    for number, word in enumerate(NUMBERS[language]):
        if number > 1:
            add(word, "count", str(number))
    for colour in COLOURS.values():
        for word in (colour.name,) if language == "en" else (colour.zh, f"{colour.zh}色", f"{colour.zh}色的"):
            add(word, "colour", colour.name)
    for verb, words in VERB_WORDS[language].items():
        for word in words:
            add(word, "verb", verb)
    for relation, words in RELATION_WORDS[language].items():
        for word in words:
            add(word, "relation", relation)
    for name, places in BACKGROUND_WORDS[language].items():
        for word in places:
            add(word, "background", name)
    if language == "en":
        _add_english(add)
    else:
        add("一", "article", "")
        add("二", "count", "2")
    return table, max(map(len, table))


def _add_english(add: object) -> None:
    assert callable(add)
    for article in ("a", "an", "the", "one"):
        add(article, "article", "")
    for name, words in SCENE_WORDS.items():
        for word in words:
            add(word, "background", name)
    for relation, forms in TRAILING_RELATIONS.items():
        for form in forms:
            for pronoun in ("its", "it", *chain.from_iterable(PRONOUNS.values())):
                add(form.format(pronoun), "trailing", relation)
