"""What two teachers say of 40,000 everyday words: a vector to learn from, and which meanings a word is nearest to.

    lexicon = read_lexicon(Path(".data/lexicon.safetensors"))
    lexicon.synonyms("dog", "en")         # [("pooch", 0.61), ("doggie", 0.58), ...]

Needs neither the teachers nor npm: they made the file (`lexicon_building.py`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from services.training.data.definitions import Definitions
from services.training.data.meanings import LANGUAGES, Meaning
from services.training.teachers.space import TeacherSpace
from shared.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Belief:
    """The teachers believe that a word means a meaning."""

    word: int
    meaning: int
    similarity: float
    """Cosine, 0..1."""


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """Words by language, in alphabetical order; row i of each array is of word i."""

    meanings: tuple[Meaning, ...]
    words: dict[str, tuple[str, ...]]
    vectors: dict[str, NDArray[np.float16]]
    """(N, 128), unit norm: the teachers' vector, reduced. Words of both languages are in one space."""
    nearest: dict[str, NDArray[np.int16]]
    """(N, 2, NEAREST) indices of meanings: for each family the nearest first."""
    similarity: dict[str, NDArray[np.float16]]
    """(N, 2, NEAREST): their cosines."""
    meaning_vectors: dict[str, NDArray[np.float16]]
    """(M, 128) for each language: the vector of each meaning's usual name."""
    beliefs: dict[str, tuple[Belief, ...]]
    """Words that may stand for a meaning's name in a caption."""
    space: TeacherSpace
    """Brings any other text of the teachers into the space of `vectors`."""
    definitions: Definitions
    """What the teachers make of WordNet's definitions, English alone."""

    def synonyms(self, word: str, language: str) -> list[tuple[str, float]]:
        """Words that the teachers believe to mean what `word` names, best first, with their cosines.

        Empty for a word that names nothing. Whatever names a meaning itself is no synonym here: a caption that says it
        means that.
        """
        named = self._named[language]
        found: dict[str, float] = {}
        for belief in self.beliefs[language]:
            if belief.meaning in named.get(word, ()):
                other = self.words[language][belief.word]
                if other not in named:
                    found[other] = max(belief.similarity, found.get(other, 0.0))
        return sorted(found.items(), key=lambda item: (-item[1], item[0]))

    @cached_property
    def _named(self) -> dict[str, dict[str, list[int]]]:
        """Meanings by language and name."""
        named: dict[str, dict[str, list[int]]] = {language: defaultdict(list) for language in LANGUAGES}
        for index, meaning in enumerate(self.meanings):
            for language in LANGUAGES:
                for name in meaning.names(language):
                    named[language][name].append(index)
        return named


def write_lexicon(lexicon: Lexicon, file: Path) -> None:
    """Writes one safetensors file, which appears only when it is whole; equal lexicons, equal bytes."""
    space, definitions = lexicon.space, lexicon.definitions
    texts = {
        "meanings": [asdict(meaning) for meaning in lexicon.meanings],
        "words": lexicon.words,
        "defined": definitions.words,
    }
    arrays: dict[str, NDArray[Any]] = {
        "texts": np.frombuffer(json.dumps(texts, ensure_ascii=False, separators=(",", ":")).encode(), dtype=np.uint8),
        "space.minilm_centre": space.minilm_centre,
        "space.bridge": space.bridge,
        "space.basis": space.basis,
        "definitions.nearest": definitions.nearest,
        "definitions.similarity": definitions.similarity,
    }
    for language in LANGUAGES:
        arrays[f"space.e5_centre.{language}"] = space.e5_centre[language]
        arrays[f"vectors.{language}"] = lexicon.vectors[language]
        arrays[f"nearest.{language}"] = lexicon.nearest[language]
        arrays[f"similarity.{language}"] = lexicon.similarity[language]
        arrays[f"meaning_vectors.{language}"] = lexicon.meaning_vectors[language]
        beliefs = lexicon.beliefs[language]
        arrays[f"beliefs.{language}"] = np.array([(each.word, each.meaning) for each in beliefs], np.int32).reshape(
            -1, 2
        )
        arrays[f"believed.{language}"] = np.array([each.similarity for each in beliefs], np.float32)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    # Not save_file, whose files are for the owner's eyes alone.
    part.write_bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
    part.replace(file)


def read_lexicon(file: Path) -> Lexicon:
    """Reads what `write_lexicon` wrote. Raises ConfigurationError when that is not there, or something else."""
    try:
        arrays = load_file(file)
        texts = json.loads(arrays["texts"].tobytes())
    except (OSError, SafetensorError, KeyError) as error:
        raise ConfigurationError(f"{file} is no lexicon ({error}); `diptych data lexicon` makes one") from None

    def by_language(name: str) -> dict[str, Any]:
        return {language: arrays[f"{name}.{language}"] for language in LANGUAGES}

    return Lexicon(
        meanings=tuple(
            Meaning(**(meaning | {language: tuple(meaning[language]) for language in LANGUAGES}))
            for meaning in texts["meanings"]
        ),
        words={language: tuple(texts["words"][language]) for language in LANGUAGES},
        vectors=by_language("vectors"),
        nearest=by_language("nearest"),
        similarity=by_language("similarity"),
        meaning_vectors=by_language("meaning_vectors"),
        beliefs={
            language: tuple(
                Belief(word=int(word), meaning=int(meaning), similarity=float(similarity))
                for (word, meaning), similarity in zip(
                    arrays[f"beliefs.{language}"], arrays[f"believed.{language}"], strict=True
                )
            )
            for language in LANGUAGES
        },
        space=TeacherSpace(
            e5_centre=by_language("space.e5_centre"),
            minilm_centre=arrays["space.minilm_centre"],
            bridge=arrays["space.bridge"],
            basis=arrays["space.basis"],
        ),
        definitions=Definitions(
            words=tuple(texts["defined"]),
            nearest=arrays["definitions.nearest"],
            similarity=arrays["definitions.similarity"],
        ),
    )
