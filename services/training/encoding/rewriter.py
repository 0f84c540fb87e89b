"""Says what captions say in other words: synonyms that the teachers believe in, in another order, among other words."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from services.training.data.english import indefinite
from services.training.data.lexicon import Lexicon
from services.training.data.meanings import FAMILIES, LANGUAGES
from services.training.data.scenes.classes import object_classes
from services.training.rewording.unseen import tells, words_of_tests

Mixture = Sequence[tuple[str, float]]
"""Names of things with a weight each."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When a word may stand for a name. Read from the lists by eye."""

    similarity: float
    lead: float
    """Over the next meaning of the family."""


DEFINED = {"scene": Rule(similarity=0.58, lead=0.04), "concept": Rule(similarity=0.62, lead=0.03)}
"""English words with their definitions, by family of what they mean."""
CHINESE = Rule(similarity=0.66, lead=0.12)
BARE_SIMILARITY = 0.45
"""Least of a word whose place among things is taught at all."""
SOFTNESS = 0.08
"""Of weights: a word that is nearer by so much is drawn e times as often."""
OWN_NAMES = 0.1
"""Weight of each other name of the same thing, where all that the teachers believe in have one."""
NEUTRAL_SHARE = 0.4
"""Of all words: those farthest from anything that can be shown say nothing of it."""

REPLACED, REORDERED, PADDED, MEASURED, BARE = 0.75, 0.2, 0.35, 0.4, 0.1
"""Shares of captions: with other words for things, clauses in another order, words that say nothing between them,
other Chinese measure words, no English articles."""
EACH_NAME = 0.6
MEASURES = "只条匹头个辆架艘朵颗棵座把本位名张块顶"


class BareWords:
    """Words beside the names of things, each with the scenes' things that it is near to, by the teachers.

    The surer it is what a word means, the more often it is drawn: by the square of the first name's weight.
    """

    def __init__(self, words: Sequence[tuple[str, Mixture]]) -> None:
        self._words = words
        self._upto = list(accumulate(max(weight for _, weight in mixture) ** 2 for _, mixture in words))

    def __len__(self) -> int:
        return len(self._words)

    def draw(self, rng: random.Random) -> tuple[str, Mixture]:
        """One of them."""
        return rng.choices(self._words, cum_weights=self._upto)[0]

    def names(self) -> set[str]:
        """Of all things that some word is near to."""
        return {name for _, mixture in self._words for name, _ in mixture}


class Rewriter:
    """An endless source of other wordings; equal seeds, equal wordings. No word of the tests of paraphrases in them."""

    def __init__(self, lexicon: Lexicon, *, seed: int) -> None:
        self.generator = self._rng = random.Random(seed)
        self._asked = words_of_tests()
        self._singular = {
            many: one
            for each in object_classes().values()
            for one, many in zip(each.names, each.plurals, strict=True)
            if many != one
        }
        self._synonyms = {language: self._synonyms_in(lexicon, language) for language in LANGUAGES}
        self._neutral = {language: self._neutral_in(lexicon, language) for language in LANGUAGES}
        plurals = [many for many, one in self._singular.items() if one in self._synonyms["en"]]
        self._patterns = {
            "en": re.compile(rf"(?:\b(an?) )?\b({_any_of([*self._synonyms['en'], *plurals])})\b", re.IGNORECASE),
            "zh": re.compile(_any_of(list(self._synonyms["zh"]))),
        }
        self.bare = {language: BareWords(_bare_words(lexicon, language)) for language in LANGUAGES}
        """By language what words mean: those of the tests too, as a dictionary has them, in no caption and no list."""

    def synonyms(self, name: str, language: str) -> Sequence[str]:
        """What may stand for a name, in no order."""
        return [word for word, _ in self._synonyms[language].get(name, ())]

    def reword(self, text: str, language: str) -> str:
        """The caption in other words; now and then it stays as it is."""
        rng = self._rng
        if rng.random() < REPLACED:
            text = self._replaced(text, language)
        if language == "zh" and rng.random() < MEASURED:
            text = re.sub(f"(?<=[一二两三四五])[{MEASURES}](?=.)", lambda _: rng.choice(MEASURES), text)
        if rng.random() < REORDERED:
            clauses = [clause.strip() for clause in re.split(r"[,.，。]", text) if clause.strip()]
            rng.shuffle(clauses)
            text = (", " if language == "en" else "，").join(clauses)
        if rng.random() < PADDED:
            for _ in range(rng.randint(1, 3)):
                text = self._padded(text, language)
        if language == "en" and rng.random() < BARE:
            text = re.sub(r"\b(?:an?|the) ", "", text)
        return text

    def beside_neutral(self, word: str, language: str) -> str:
        """The word with one to three words before and after it that say nothing of what can be shown."""
        others = [self._rng.choice(self._neutral[language]) for _ in range(self._rng.randint(1, 3))]
        place = self._rng.randint(0, len(others))
        return (" " if language == "en" else "").join((*others[:place], word, *others[place:]))

    def _replaced(self, text: str, language: str) -> str:
        def other(match: re.Match[str]) -> str:
            if self._rng.random() > EACH_NAME:
                return match.group()
            if language == "zh":
                return self._draw(match.group(), "zh")
            article, name = match.group(1), match.group(2).lower()
            one = self._singular.get(name)
            word = (
                self._draw(name, "en") if one is None or name in self._synonyms["en"] else plural(self._draw(one, "en"))
            )
            return f"{indefinite(word)} {word}" if article else word

        return self._patterns[language].sub(other, text)

    def _draw(self, name: str, language: str) -> str:
        words, weights = zip(*self._synonyms[language][name], strict=True)
        return str(self._rng.choices(words, weights)[0])

    def _padded(self, text: str, language: str) -> str:
        word = self._rng.choice(self._neutral[language])
        if language == "en":
            words = text.split(" ")
            words.insert(self._rng.randint(0, len(words)), word)
            return " ".join(words)
        # Between names, never within one: the Chinese for strawberry with a word in it is none.
        places = [0, len(text), *(match.end() for match in re.finditer("[，。的]", text))]
        places += [end for match in self._patterns["zh"].finditer(text) for end in match.span()]
        place = self._rng.choice(places)
        return f"{text[:place]}{word}{text[place:]}"

    def _synonyms_in(self, lexicon: Lexicon, language: str) -> dict[str, list[tuple[str, float]]]:
        named = {name for meaning in lexicon.meanings for name in meaning.names(language)}
        believed: dict[int, dict[str, float]] = defaultdict(dict)
        for belief in lexicon.beliefs[language]:
            if not self.is_asked(word := lexicon.words[language][belief.word]):
                believed[belief.meaning][word] = belief.similarity
        for word, place, similarity in _found(lexicon, language):
            if word not in named and not self.is_asked(word):
                believed[place][word] = max(similarity, believed[place].get(word, 0.0))
        synonyms: dict[str, list[tuple[str, float]]] = defaultdict(list)
        for index, meaning in enumerate(lexicon.meanings):
            others = [(word, float(np.exp(s / SOFTNESS))) for word, s in believed[index].items() if word not in named]
            total = sum(weight for _, weight in others) or 1.0
            for name in meaning.names(language):
                own = [(other, OWN_NAMES * total) for other in meaning.names(language) if other != name]
                if others or own:
                    synonyms[name] += [*others, *own]
        return dict(synonyms)

    def is_asked(self, word: str) -> bool:
        """Whether the tests of paraphrases ask for a word, or for a part of it."""
        return tells(word, self._asked) or any(part in self._asked for part in re.split("[ -]", word))

    def _neutral_in(self, lexicon: Lexicon, language: str) -> list[str]:
        nearness = lexicon.similarity[language][:, :, 0].max(axis=1)
        limit = np.quantile(nearness.astype(np.float32), NEUTRAL_SHARE)
        words = zip(lexicon.words[language], nearness, strict=True)
        return [word for word, near in words if near <= limit and not self.is_asked(word)]


def _defined(lexicon: Lexicon, language: str) -> tuple[Sequence[str], NDArray[np.int16], NDArray[np.float16]]:
    """Words with the meanings that they are nearest to, English ones by their definitions."""
    if language == "en":
        return lexicon.definitions.words, lexicon.definitions.nearest, lexicon.definitions.similarity
    return lexicon.words[language], lexicon.nearest[language], lexicon.similarity[language]


def _found(lexicon: Lexicon, language: str) -> list[tuple[str, int, float]]:
    """(word, meaning, similarity) of words that mean one thing rather than another."""
    words, nearest, similarity = _defined(lexicon, language)
    rules = [DEFINED[family] if language == "en" else CHINESE for family in FAMILIES]
    found = []
    for family, rule in enumerate(rules):
        best, second = similarity[:, family, 0].astype(np.float32), similarity[:, family, 1].astype(np.float32)
        for row in np.flatnonzero((best >= rule.similarity) & (best - second >= rule.lead)).tolist():
            found.append((words[row], int(nearest[row, family, 0]), float(best[row])))
    return found


def _bare_words(lexicon: Lexicon, language: str) -> list[tuple[str, Mixture]]:
    scene = FAMILIES.index("scene")
    words, nearest, similarity = _defined(lexicon, language)
    named = {name for meaning in lexicon.meanings for name in meaning.names(language)}
    found: list[tuple[str, Mixture]] = []
    for word, indices, cosines in zip(words, nearest[:, scene], similarity[:, scene].astype(np.float32), strict=True):
        if cosines[0] >= BARE_SIMILARITY and word not in named:
            weights = np.exp((cosines - cosines[0]) / SOFTNESS)
            names = [lexicon.meanings[int(index)].names(language)[0] for index in indices]
            found.append((word, list(zip(names, (weights / weights.sum()).tolist(), strict=True))))
    return found


def plural(noun: str) -> str:
    """Of a regular noun: `fox` -> `foxes`, `house cat` -> `house cats`."""
    if re.search(r"(?:s|x|z|ch|sh)$", noun):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if re.search(r"[^aeiou]y$", noun) else f"{noun}s"


def _any_of(names: Sequence[str] | Mapping[str, object]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=lambda name: (-len(name), name)))
