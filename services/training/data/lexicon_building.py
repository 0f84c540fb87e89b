"""Makes the lexicon: asks the teachers about every everyday word, and about every meaning that a picture can show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.training.data.definitions import read_definitions
from services.training.data.everyday_words import chinese_words, english_words
from services.training.data.lexicon import Lexicon
from services.training.data.meanings import FAMILIES, LANGUAGES, NEAREST, Meaning
from services.training.data.pack import Concept
from services.training.data.scenes.classes import COLOURS, object_classes
from services.training.data.scenes.wording import VERB_WORDS
from services.training.data.synonymy import CHINESE_RULE, ENGLISH_RULE, Rule, chinese_beliefs, english_beliefs
from services.training.data.teaching import Teaching
from services.training.data.wordnet import read_senses
from services.training.rewording.unseen import tells, words_of_tests
from services.training.teachers.space import TeacherSpace, Vectors, fit_space

BACKGROUND_NAMES = {
    "meadow": (("meadow", "grass", "grassland"), ("草地", "草原")),
    "beach": (("beach", "sandy beach", "seaside"), ("沙滩", "海滩", "海边")),
    "desert": (("desert",), ("沙漠",)),
    "snow": (("snow", "snowy field"), ("雪地",)),
    "night": (("night", "night sky"), ("夜晚", "夜里")),
    "street": (("street", "road"), ("街上", "街道")),
    "sea": (("sea", "ocean"), ("大海", "海上")),
    "underwater": (("underwater", "under the sea"), ("水下", "海底")),
    "space": (("space", "outer space"), ("太空",)),
    "table": (("table",), ("桌子",)),
}
"""English and Chinese words for the places of scenes."""


def build_lexicon(
    concepts: Sequence[Concept], node_modules: Path, teaching: Teaching, report: Callable[[str], None]
) -> Lexicon:
    """Asks the teachers about all words and meanings; `report` hears a line a step. Deterministic on one machine."""
    meanings = (*map(concept_meaning, concepts), *scene_meanings())
    words = {
        "en": tuple(english_words(node_modules, teaching.known, teaching.frequency)),
        "zh": tuple(chinese_words(node_modules, teaching.pieces)),
    }
    e5: dict[str, Vectors] = {}
    names: dict[str, list[tuple[str, ...]]] = {}
    for language in LANGUAGES:
        e5[language] = teaching.e5(words[language])
        report(f"{len(words[language])} words ({language}) embedded by multilingual-e5-small")
        names[language] = [meaning.names(language) for meaning in meanings]
    minilm = teaching.minilm(words["en"])
    report(f"{len(words['en'])} words (en) embedded by all-MiniLM-L6-v2")
    space = fit_space(e5, minilm)
    shown = {language: _name_vectors(names[language], language, space, teaching) for language in LANGUAGES}
    # A Chinese word is also near to what a thing is called in English: best of three ways, tried on synonyms.
    prototypes = {"en": shown["en"], "zh": shown["en"] + shown["zh"]}
    vectors: dict[str, NDArray[np.float16]] = {}
    nearest: dict[str, NDArray[np.int16]] = {}
    similarity: dict[str, NDArray[np.float16]] = {}
    for language in LANGUAGES:
        fused = space.fuse(e5[language], minilm if language == "en" else None, language)
        vectors[language] = space.reduce(fused).astype(np.float16)
        nearest[language], similarity[language] = _nearest(fused, prototypes[language], meanings)
    senses = read_senses(node_modules)
    asked = words_of_tests()
    rules = {"en": ENGLISH_RULE, "zh": CHINESE_RULE}
    near = {language: _near(nearest[language], similarity[language], rule) for language, rule in rules.items()}
    beliefs = {
        "en": tuple(english_beliefs(words["en"], near["en"], meanings, senses, teaching.minilm)),
        "zh": tuple(chinese_beliefs(words["zh"], near["zh"], meanings, teaching.e5)),
    }
    beliefs = {
        language: tuple(each for each in beliefs[language] if not tells(words[language][each.word], asked))
        for language in LANGUAGES
    }
    report(f"{len(beliefs['en'])} English and {len(beliefs['zh'])} Chinese words are believed to be synonyms")
    definitions = read_definitions(node_modules, meanings, teaching.minilm)
    report(f"{len(definitions.words)} words with their definitions read by all-MiniLM-L6-v2")
    return Lexicon(
        meanings=meanings,
        words=words,
        vectors=vectors,
        nearest=nearest,
        similarity=similarity,
        meaning_vectors={language: space.reduce(shown[language]).astype(np.float16) for language in LANGUAGES},
        beliefs=beliefs,
        space=space,
        definitions=definitions,
    )


def concept_meaning(concept: Concept) -> Meaning:
    """A pictogram concept with its hand-made names; tags are too loose."""
    en, zh = (concept.en, *concept.en_synonyms), (concept.zh, *concept.zh_synonyms)
    return Meaning(family="concept", kind="concept", id=concept.id, en=tuple(map(str.lower, en)), zh=zh)


def scene_meanings() -> tuple[Meaning, ...]:
    """Everything that scenes are made of."""
    objects = [
        Meaning(family="scene", kind="object", id=each.kind, en=each.names, zh=each.zh)
        for each in object_classes().values()
    ]
    colours = [
        Meaning(family="scene", kind="colour", id=each.name, en=(each.name,), zh=(f"{each.zh}色", each.zh))
        for each in COLOURS.values()
    ]
    backgrounds = [
        Meaning(family="scene", kind="background", id=name, en=en, zh=zh) for name, (en, zh) in BACKGROUND_NAMES.items()
    ]
    verbs = [
        Meaning(family="scene", kind="verb", id=verb, en=words, zh=VERB_WORDS["zh"][verb])
        for verb, words in VERB_WORDS["en"].items()
    ]
    return (*objects, *colours, *backgrounds, *verbs)


def _near(nearest: NDArray[np.int16], similarity: NDArray[np.float16], rule: Rule) -> dict[int, list[int]]:
    """Rows of words with the meanings, among the nearest, that the rule asks about."""
    near: dict[int, list[int]] = {}
    for row, family, place in np.argwhere(similarity >= rule.candidate):
        near.setdefault(int(row), []).append(int(nearest[row, family, place]))
    return near


def _name_vectors(names: Sequence[Sequence[str]], language: str, space: TeacherSpace, teaching: Teaching) -> Vectors:
    """(M, 768) of unit norm: the mean over each meaning's names."""
    flat = [name for each in names for name in each]
    vectors = space.fuse(teaching.e5(flat), teaching.minilm(flat) if language == "en" else None, language)
    owner = np.repeat(np.arange(len(names)), [len(each) for each in names])
    sums = np.zeros((len(names), vectors.shape[1]), dtype=np.float32)
    np.add.at(sums, owner, vectors)
    return sums / np.linalg.norm(sums, axis=1, keepdims=True)  # type: ignore[no-any-return]


def _nearest(
    fused: Vectors, prototypes: Vectors, meanings: Sequence[Meaning]
) -> tuple[NDArray[np.int16], NDArray[np.float16]]:
    """(N, families, NEAREST) indices of meanings and their cosines, the nearest first."""
    cosines = fused @ (prototypes / np.linalg.norm(prototypes, axis=1, keepdims=True)).T  # (N, M)
    indices, values = [], []
    for family in FAMILIES:
        columns = np.array([i for i, meaning in enumerate(meanings) if meaning.family == family])
        within = cosines[:, columns]
        order = np.argsort(-within, axis=1, kind="stable")[:, :NEAREST]
        indices.append(columns[order])
        values.append(np.take_along_axis(within, order, axis=1))
    return np.stack(indices, axis=1).astype(np.int16), np.stack(values, axis=1).astype(np.float16)
