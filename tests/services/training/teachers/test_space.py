"""The space of both teachers, on random vectors."""

from __future__ import annotations

import numpy as np

from services.training.teachers.space import WIDTH, Vectors, fit_space


def _unit(count: int, seed: int) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, 384)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)  # type: ignore[no-any-return]


def test_reduced_vectors_have_unit_norm_and_a_second_fit_gives_the_same() -> None:
    e5, minilm = {"en": _unit(600, 0), "zh": _unit(300, 1)}, _unit(600, 2)
    first, second = fit_space(e5, minilm), fit_space(e5, minilm)
    reduced = first.reduce(first.fuse(e5["en"], minilm, "en"))
    assert reduced.shape == (600, WIDTH)
    np.testing.assert_allclose(np.linalg.norm(reduced, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(first.basis, second.basis)


def test_what_minilm_would_say_of_chinese_is_learnt_from_english() -> None:
    english = _unit(3000, 0)
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(384, 384)))[0].astype(np.float32)
    space = fit_space({"en": english, "zh": english}, english @ rotation)
    with_minilm = space.fuse(english[:50], english[:50] @ rotation, "en")
    without = space.fuse(english[:50], None, "zh")
    assert (with_minilm * without).sum(axis=1).min() > 0.98
