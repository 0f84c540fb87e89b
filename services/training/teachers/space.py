"""One space of 128 numbers for what both teachers say, in English and in Chinese.

E5 knows both languages; MiniLM knows English, and synonyms better. An English text is the two side by side; for a
Chinese one a linear map, learnt from English words, says what MiniLM would. Vectors are centred a language first, since
E5 puts languages and short texts each into a corner of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

WIDTH = 128
RIDGE = 10.0
"""Penalty of the map's weights: between 1 and 30 it made no difference."""


@dataclass(frozen=True, kw_only=True)
class TeacherSpace:
    """Turns the teachers' vectors into one, the same for every text from then on."""

    e5_centre: Mapping[str, Vectors]
    """(384,) for each language."""
    minilm_centre: Vectors
    """(384,)"""
    bridge: Vectors
    """(384, 384): from E5's centred vectors to MiniLM's."""
    basis: Vectors
    """(768, WIDTH): principal components."""

    def fuse(self, e5: Vectors, minilm: Vectors | None, language: str) -> Vectors:
        """(B, 384) of E5 and, for English, of MiniLM -> (B, 768) of unit norm; cosines here are the most exact."""
        first = _unit(e5 - self.e5_centre[language])
        second = first @ self.bridge if minilm is None else minilm - self.minilm_centre
        return np.concatenate((first, _unit(second)), axis=1) / np.float32(np.sqrt(2))

    def reduce(self, fused: Vectors) -> Vectors:
        """(B, 768) -> (B, WIDTH) of unit norm."""
        return _unit(fused @ self.basis)


def fit_space(e5: Mapping[str, Vectors], minilm: Vectors) -> TeacherSpace:
    """Fits a space to words: `e5` by language, `minilm` of the same English words in the same order. Deterministic."""
    e5_centre = {language: vectors.mean(axis=0) for language, vectors in e5.items()}
    minilm_centre = minilm.mean(axis=0)
    english, target = _unit(e5["en"] - e5_centre["en"]), _unit(minilm - minilm_centre)
    penalty = RIDGE * np.eye(english.shape[1], dtype=np.float32)
    bridge = np.linalg.solve(english.T @ english + penalty, english.T @ target)
    space = TeacherSpace(
        e5_centre=e5_centre,
        minilm_centre=minilm_centre,
        bridge=bridge,
        basis=np.zeros((2 * english.shape[1], WIDTH), dtype=np.float32),
    )
    fused = np.concatenate(
        [space.fuse(vectors, minilm if language == "en" else None, language) for language, vectors in e5.items()]
    )
    _, components = np.linalg.eigh(fused.T @ fused)
    basis = components[:, ::-1][:, :WIDTH]
    signs = np.sign(basis[np.abs(basis).argmax(axis=0), range(WIDTH)])  # else they are the eigensolver's whim
    return TeacherSpace(
        e5_centre=e5_centre, minilm_centre=minilm_centre, bridge=bridge, basis=np.ascontiguousarray(basis * signs)
    )


def _unit(vectors: Vectors) -> Vectors:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-6))  # type: ignore[no-any-return]
