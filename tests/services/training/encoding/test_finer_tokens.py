"""Tokens that are cut finer still say the same text."""

from __future__ import annotations

import random

from services.training.encoding.finer_tokens import FinerTokens
from services.training.tokenizers import train_tokenizer

TEXTS = ["a motor car and a truck", "一只黑猫", "motor truck"] * 20


def test_text_stays_and_only_its_cuts_change() -> None:
    tokenizer = train_tokenizer(TEXTS, vocabulary=400, lower_case=True)
    finer, rng = FinerTokens(tokenizer), random.Random(0)
    for text in TEXTS[:3]:
        ids = tokenizer.encode(text).ids
        assert finer.cut(ids, rng, share=0.0) == ids
        cuts = {tuple(finer.cut(ids, rng, share=0.5)) for _ in range(20)}
        assert len(cuts) > 3
        assert {tokenizer.decode(list(cut)).strip() for cut in cuts} == {text}
        assert max(map(len, cuts)) > len(ids)


def test_equal_seeds_cut_alike() -> None:
    tokenizer = train_tokenizer(TEXTS, vocabulary=400, lower_case=True)
    finer, ids = FinerTokens(tokenizer), tokenizer.encode("a motor truck").ids
    one, other = ([finer.cut(ids, rng, share=0.5) for _ in range(9)] for rng in (random.Random(3), random.Random(3)))
    assert one == other


def test_everything_can_be_cut_down_to_bytes() -> None:
    tokenizer = train_tokenizer(TEXTS, vocabulary=400, lower_case=True)
    cut = FinerTokens(tokenizer).cut(tokenizer.encode("truck").ids, random.Random(0), share=1.0)
    assert len(cut) >= len("truck")
