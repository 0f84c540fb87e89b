"""Concepts count alike, however many sets drew them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from services.training.data.balance import balance
from services.training.tiny import tiny_pack


def test_every_concept_counts_the_same_and_every_family_in_it() -> None:
    whole = tiny_pack()
    # All styles of the first concept, two of one family and a third of the second, one of the third.
    kept = {0: set(whole.styles), 1: {"noto", "noto-v1", "twemoji"}, 2: {"streamline"}}
    rows = [
        row
        for row, (concept, style) in enumerate(zip(whole.concept.tolist(), whole.style.tolist(), strict=True))
        if whole.styles[style] in kept.get(concept, ())
    ]
    split = np.zeros(len(rows), dtype=np.uint8)
    split[0] = 2  # fluent-3d of the first is held out
    pack = replace(
        whole, pixels=whole.pixels[rows], alpha=whole.alpha[rows], concept=whole.concept[rows], style=whole.style[rows],
        split=split,
    )  # fmt: skip
    shares = {
        (int(concept), pack.styles[style]): share
        for concept, style, share in zip(pack.concept, pack.style, balance(pack).tolist(), strict=True)
    }
    assert shares[0, "fluent-3d"] == 0
    assert shares[0, "fluent-mono"] == shares[0, "fluent-flat"] == 1 / 6 / 3  # of six families, and of three left
    assert shares[0, "twemoji"] == 1 / 6
    assert shares[1, "noto"] == shares[1, "noto-v1"] == 1 / 4 and shares[1, "twemoji"] == 1 / 2
    assert shares[2, "streamline"] == 1
    np.testing.assert_allclose(np.bincount(pack.concept, balance(pack), minlength=4), [1, 1, 1, 0])
