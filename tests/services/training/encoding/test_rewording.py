"""The second stage moves other wordings to where the first one put the caption, and leaves that where it is."""

from __future__ import annotations

import copy

import torch

from services.text.config import PRESETS, TextEncoderConfig
from services.text.model import TextEncoder
from services.training.data.scenes.composer import compose
from services.training.encoding.rewording import RewordingTrainer
from services.training.encoding.rewriter import Rewriter
from services.training.samples import tokenize
from services.training.tiny import tiny_pack
from services.training.tokenizers import train_tokenizer
from tests.services.training.data.scenes.drawings import sprites
from tests.services.training.data.tiny_lexicon import tiny_lexicon


def test_other_words_come_near_and_captions_stay() -> None:
    torch.manual_seed(0)
    tokenizer = train_tokenizer(["a dog on the grass", "一只狗在草地上"], vocabulary=400, lower_case=True)
    text = TextEncoder(TextEncoderConfig(vocabulary=tokenizer.get_vocab_size(), **PRESETS["tiny"]))
    before = copy.deepcopy(text)
    scenes = [compose(seed, sprites()).scene for seed in range(8)]
    trainer = RewordingTrainer(text, tokenizer, Rewriter(tiny_lexicon(), seed=1), tiny_pack(), scenes, batch=32, seed=2)

    def vectors(encoder: TextEncoder, *texts: str) -> torch.Tensor:
        with torch.no_grad():
            return encoder(*tokenize(tokenizer, list(texts)))  # type: ignore[no-any-return]

    dog, hound = vectors(before, "dog", "lap hound")
    first = float(dog @ hound)
    for _ in range(150):
        trainer.step(0.1)
    trainer.take_average()
    assert float(dog @ vectors(text, "lap hound")[0]) > first + 0.5 * (1 - first)
    captions = ("a cat", "一只猫", "a house")
    assert (vectors(before, *captions) * vectors(text, *captions)).sum(dim=1).min() > 0.8
