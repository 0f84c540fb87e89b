"""The second stage moves other wordings to where the first one put the caption, and leaves that where it is."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from services.text.config import PRESETS, TextEncoderConfig
from services.text.model import TextEncoder
from services.training.data.scenes.composer import compose
from services.training.encoding.rewording import RewordingTrainer
from services.training.encoding.rewriter import Rewriter
from services.training.encoding.word_layers import confined, with_word_layers
from services.training.samples import tokenize
from services.training.tiny import tiny_pack
from services.training.tokenizers import train_tokenizer
from tests.services.training.data.scenes.drawings import sprites
from tests.services.training.data.tiny_lexicon import tiny_lexicon
from tests.services.training.stopping import assert_same, whole_and_resumed


@cache
def _tokenizer() -> Tokenizer:
    return train_tokenizer(["a dog on the grass", "一只狗在草地上"], vocabulary=400, lower_case=True)


def _first_stage() -> tuple[TextEncoder, TextEncoderConfig]:
    """An encoder with random weights, equal each time."""
    torch.manual_seed(0)
    config = TextEncoderConfig(vocabulary=_tokenizer().get_vocab_size(), **PRESETS["tiny"])
    return TextEncoder(config), config


def _trainer() -> RewordingTrainer:
    """Of that encoder, of which one layer in two is to see words alone."""
    frozen, config = _first_stage()
    text = with_word_layers(frozen, confined(config), _tokenizer())
    scenes = [compose(seed, sprites()).scene for seed in range(8)]
    return RewordingTrainer(
        text, frozen, _tokenizer(), Rewriter(tiny_lexicon(), seed=1), tiny_pack(), scenes, batch=32, seed=2
    )


def test_other_words_come_near_and_captions_stay() -> None:
    trainer = _trainer()
    text, before = trainer.text, _first_stage()[0]

    def vectors(encoder: TextEncoder, *texts: str) -> torch.Tensor:
        with torch.no_grad():
            return encoder(*tokenize(_tokenizer(), list(texts)))  # type: ignore[no-any-return]

    dog, hound = vectors(before, "dog", "lap hound")
    first = float(dog @ hound)
    for _ in range(60):
        trainer.step(0.1)
    trainer.take_average()
    assert float(dog @ vectors(text, "lap hound")[0]) > first + 0.5 * (1 - first)
    assert float(dog @ vectors(text, "house lap hound")[0]) > first
    captions = ("a cat", "一只猫", "a house", "a cat and a dog on the grass")
    assert (vectors(before, *captions) * vectors(text, *captions)).sum(dim=1).mean() > 0.8


def test_a_resumed_stage_has_the_losses_of_one_that_never_stopped(tmp_path: Path) -> None:
    assert_same(*whole_and_resumed(_trainer, tmp_path))


def test_bare_words_stand_alone_beside_neutral_ones_and_in_lists() -> None:
    trainer = _trainer()
    drawn = [trainer.draw_words() for _ in range(200)]
    assert all(float(meant.norm()) == pytest.approx(1, abs=1e-4) for _, meant in drawn)
    texts = [text.removeprefix("a ") for text, _ in drawn if text.isascii()]
    bare = {"lap hound", "lap hounds", "she-wolf", "she-wolfs"}
    assert set(texts) & bare
    assert any(text.startswith("lap hound") and len(text.split()) > 2 and "wolf" not in text for text in texts)
    assert any("hound" in text and "she-wolf" in text for text in texts)
