"""Which words the teachers believe to mean the same as a name: words put into its place in a sentence, and compared.

Alone, a word is near to all that it is related to ("horse" and "horse race"). In a sentence such as "there is a pooch
in the picture" relatives move away, and synonyms stay. WordNet says here which part of speech a word is and in which
field (animals, artefacts), never what its synonyms are: those are what the test of paraphrases asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from services.training.data.lexicon import Belief
from services.training.data.meanings import Meaning
from services.training.data.wordnet import Sense
from services.training.teachers.space import Vectors

Embed = Callable[[Sequence[str]], Vectors]
Fields = dict[str, set[tuple[str, int, int]]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When a word is believed. Read from the lists by eye, for the scene classes and each fourteenth concept."""

    candidate: float
    """Least cosine of the word alone, in the teachers' space, to be asked about at all."""
    similarity: float
    """Least cosine between the two sentences."""
    lead: float
    """How much nearer it must be than to any other meaning of the family."""


ENGLISH_RULE = Rule(candidate=0.33, similarity=0.68, lead=0.14)
CHINESE_RULE = Rule(candidate=0.38, similarity=0.75, lead=0.15)
CONCEPT_SIMILARITY = 0.78
"""Least cosine for pictogram concepts, in either language: there are twenty times as many to be confused with."""
SPELLING_SIMILARITY = 0.85
"""Least cosine for a word that begins as a name does: spelling draws both teachers (cat, cation)."""

_SENTENCES = {
    "concept": "there is {} in the picture",
    "object": "there is {} in the picture",
    "background": "there is {} in the picture",
    "verb": "a man is {}",
}
"""English, by kind of meaning. Colours are not there: for both teachers crimson is as near to purple as to red."""
_CHINESE_SENTENCE = "图片里有{}"

_BROAD = frozenset(
    {"animal", "mammal", "pet", "vehicle", "aircraft", "fruit", "insect", "plant", "person", "human", "individual",
     "creature", "reptile", "beverage", "drink", "food", "vegetable", "flower", "tool", "thing", "object", "machine",
     "building", "structure", "clothing", "container", "instrument", "toy", "furniture", "device", "gastropod",
     "primate", "fungus", "forest", "dessert", "publication", "piece", "photo", "photograph", "picture", "male",
     "female", "adult",
     "livestock", "poultry", "literature", "leaf", "foliage", "chapter", "rotor", "pilot", "daytime", "pavement",
     "weather"}
)  # fmt: skip
"""Words for a whole kind, a part or the opposite: a caption that says `animal` does not say dog."""

_PET_NAME = re.compile(r"(?:\w?y|\w?ie)")  # dog -> doggy, bird -> birdie


def english_beliefs(
    words: Sequence[str],
    near: Mapping[int, Sequence[int]],
    meanings: Sequence[Meaning],
    senses: Sequence[Sense],
    minilm: Embed,
) -> list[Belief]:
    """`near`: for each row of `words` that is worth asking about, the meanings that it may have."""
    fields = _fields(senses)
    kinds = {meaning.kind for meaning in meanings} & _SENTENCES.keys()
    beliefs = []
    for kind in sorted(kinds):
        chosen = [index for index, meaning in enumerate(meanings) if meaning.kind == kind]
        rows = [row for row, indices in near.items() if any(meanings[index].kind == kind for index in indices)]
        rows = [row for row in rows if _is_part(words[row], kind, fields)]
        if not rows:
            continue
        names = sorted({name for index in chosen for name in meanings[index].en})
        sentence = _SENTENCES[kind]
        vectors = minilm([sentence.format(_noun(word, kind)) for word in (*(words[row] for row in rows), *names)])
        beliefs += _beliefs(
            rows, chosen, _cosines(vectors, len(rows), names, [meanings[i].en for i in chosen]), ENGLISH_RULE
        )
    return [
        belief for belief in beliefs
        if _may_mean(words[belief.word], meanings[belief.meaning], fields, belief.similarity)
    ]  # fmt: skip


def chinese_beliefs(
    words: Sequence[str], near: Mapping[int, Sequence[int]], meanings: Sequence[Meaning], e5: Embed
) -> list[Belief]:
    """As `english_beliefs`; parts of speech are unknown here."""
    rows = list(near)
    names = sorted({name for meaning in meanings for name in meaning.zh})
    vectors = e5([_CHINESE_SENTENCE.format(word) for word in (*(words[row] for row in rows), *names)])
    vectors = vectors - vectors.mean(axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    beliefs = []
    for family in sorted({meaning.family for meaning in meanings}):
        chosen = [index for index, meaning in enumerate(meanings) if meaning.family == family]
        beliefs += _beliefs(
            rows, chosen, _cosines(vectors, len(rows), names, [meanings[i].zh for i in chosen]), CHINESE_RULE
        )
    return [
        belief for belief in beliefs if _may_mean_zh(words[belief.word], meanings[belief.meaning], belief.similarity)
    ]


def _cosines(vectors: Vectors, rows: int, names: Sequence[str], groups: Sequence[Sequence[str]]) -> Vectors:
    """(rows, groups): the mean over a meaning's names, so that a name with two senses has to be borne out."""
    place = {name: rows + index for index, name in enumerate(names)}
    cosines = vectors[:rows] @ vectors.T
    return np.stack([cosines[:, [place[name] for name in group]].mean(axis=1) for group in groups], axis=1)


def _beliefs(rows: Sequence[int], chosen: Sequence[int], cosines: Vectors, rule: Rule) -> list[Belief]:
    if not len(rows):
        return []
    order = np.argsort(-cosines, axis=1, kind="stable")
    at = np.arange(len(rows))
    best = cosines[at, order[:, 0]]
    second = cosines[at, order[:, 1]] if cosines.shape[1] > 1 else np.full(len(rows), -1.0)
    return [
        Belief(word=rows[int(i)], meaning=chosen[int(order[i, 0])], similarity=float(best[i]))
        for i in np.flatnonzero((best >= rule.similarity) & (best - second >= rule.lead))
    ]


def _fields(senses: Sequence[Sense]) -> Fields:
    """(part of speech, field, rank) of each word's senses."""
    fields: Fields = {}
    for sense in senses:
        fields.setdefault(sense.word, set()).add((sense.part, sense.field, sense.rank))
    return fields


def _is_part(word: str, kind: str, fields: Fields) -> bool:
    if kind == "verb":
        return word.endswith("ing") and " " not in word
    return any(part == "n" for part, _, _ in fields.get(word, ()))


def _may_mean(word: str, meaning: Meaning, fields: Fields, similarity: float) -> bool:
    """Neither broader nor a name with something added, and of the field that a name is of."""
    names = meaning.en
    if meaning.kind == "concept" and similarity < CONCEPT_SIMILARITY:
        return False
    if word.split()[-1] in _BROAD or word in {f"{name}s" for name in names}:
        return False
    for name in names:
        if word.startswith(name) and not (_PET_NAME.fullmatch(word[len(name) :]) and similarity >= 0.8):
            return False
        if set(name.split()) & set(word.split()) or name.startswith(word):
            return False
        if word[:3] == name[:3] and similarity < SPELLING_SIMILARITY:
            return False
    if meaning.kind == "verb":
        return True
    own = {field for name in names for part, field, rank in fields.get(name, ()) if part == "n" and rank == 1}
    return any(field in own for part, field, _ in fields.get(word, ()) if part == "n")


def _may_mean_zh(word: str, meaning: Meaning, similarity: float) -> bool:
    """Neither a name with something added nor, unless very near, a part of one."""
    if word.startswith(("的", "一", "两")) or (meaning.kind == "concept" and similarity < CONCEPT_SIMILARITY):
        return False
    if any(name in word for name in meaning.zh if len(name) > 1):
        return False
    return similarity >= SPELLING_SIMILARITY or not any(word in name for name in meaning.zh)


def _noun(word: str, kind: str) -> str:
    if kind == "verb":
        return word
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
