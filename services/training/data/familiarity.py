"""Which held-out concepts a text encoder can know by their words: those whose words training captions hold."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from services.training.data.pack import SPLITS, Concept, Pack


def familiar_concepts(pack: Pack, language: str) -> NDArray[np.bool_]:
    """(C,) true for concepts held out whole whose name has only words of trained concepts' names and synonyms.

    Words are an English name's words and a Chinese name's characters. Figures over held-out concepts are told for these
    apart: a `blue book` can be put together from others, a `rhinoceros` cannot.
    """
    trained = set(pack.concept[pack.train].tolist())
    held_out = set(pack.concept[pack.split == SPLITS.index("test_concept")].tolist())
    known = {word for number in trained for name in _names(pack.concepts[number], language) for word in _words(name)}
    return np.array([
        number in held_out and set(_words(_names(concept, language)[0])) <= known
        for number, concept in enumerate(pack.concepts)
    ])  # fmt: skip


def _names(concept: Concept, language: str) -> tuple[str, ...]:
    return (concept.zh, *concept.zh_synonyms) if language == "zh" else (concept.en, *concept.en_synonyms)


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z0-9']+|[\u4e00-\u9fff]", name.lower())
