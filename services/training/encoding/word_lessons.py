"""What the teachers' lexicon gives to the text encoder: words to know, and words to put into captions."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

import torch
from torch import Tensor

from services.training.data.lexicon import Lexicon
from services.training.data.meanings import LANGUAGES

MEANING_SHARE = 0.3
"""Of words: names of what pictures show, whose vectors the others are measured by."""


class WordLessons:
    """An endless source of words with the teachers' vectors, and of captions reworded by what they believe."""

    def __init__(self, lexicon: Lexicon, *, seed: int) -> None:
        self._lexicon = lexicon
        self.generator = self._rng = random.Random(seed)
        self._synonyms: dict[str, dict[str, list[tuple[str, float]]]] = {language: {} for language in LANGUAGES}
        for language, found in self._synonyms.items():
            for meaning in lexicon.meanings:
                for name in meaning.names(language):
                    if (others := lexicon.synonyms(name, language)) and (language == "zh" or len(name) > 2):
                        found[name] = others
        self._patterns = {
            "en": re.compile(r"\b(" + "|".join(_longest_first(self._synonyms["en"])) + r")\b"),
            "zh": re.compile("|".join(_longest_first(self._synonyms["zh"]))),
        }

    def draw(self, size: int) -> tuple[list[str], Tensor]:
        """`size` words of both languages and their vectors, (size, 128) float32 of unit norm."""
        lexicon, words, vectors = self._lexicon, [], []
        for _ in range(size):
            language = self._rng.choice(LANGUAGES)
            if self._rng.random() < MEANING_SHARE:
                row = self._rng.randrange(len(lexicon.meanings))
                words.append(lexicon.meanings[row].names(language)[0])
                vectors.append(torch.from_numpy(lexicon.meaning_vectors[language][row]))
            else:
                row = self._rng.randrange(len(lexicon.words[language]))
                words.append(lexicon.words[language][row])
                vectors.append(torch.from_numpy(lexicon.vectors[language][row]))
        return words, torch.stack(vectors).float()

    def reworded(self, text: str, language: str) -> str:
        """The text with one known name replaced by a word that the teachers believe to mean it; else as it is."""
        found = list(self._patterns[language].finditer(text.lower()))
        if not found:
            return text
        match = self._rng.choice(found)
        words, weights = zip(*self._synonyms[language][match.group()], strict=True)
        word = self._rng.choices(words, weights)[0]
        before = text[: match.start()]
        if language == "en":
            article = re.search(r"\b(an?) $", before)
            if article:
                before = before[: article.start()] + ("an " if word[0] in "aeiou" else "a ")
        return f"{before}{word}{text[match.end() :]}"


def _longest_first(names: Sequence[str] | dict[str, list[tuple[str, float]]]) -> list[str]:
    return [re.escape(name) for name in sorted(names, key=lambda name: (-len(name), name))]
