"""Trains tiny encoders for 20 steps and prints each loss: a program that tests kill and start again."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from services.classification.config import PRESETS as IMAGE_PRESETS
from services.classification.config import ImageEncoderConfig
from services.classification.model import ImageEncoder
from services.text.config import PRESETS as TEXT_PRESETS
from services.text.config import TextEncoderConfig
from services.text.model import TextEncoder
from services.training.encoders import EncoderTrainer, text_tokenizer
from services.training.loop import Budget, Conditions, train
from services.training.samples import Sampler
from services.training.tiny import VOCABULARY, tiny_pack
from shared.inference.runtime import channels_last

STEPS = 20


class TellingTrainer(EncoderTrainer):
    """Draws from a sampler of its own and from torch, has batch norm, and convolutions with channels last."""

    def step(self, share: float) -> Mapping[str, Tensor]:
        """Prints the step's losses to the last bit."""
        losses = super().step(share)
        print(round(share * STEPS) + 1, *(float(loss.item()).hex() for loss in losses.values()), flush=True)
        return losses


def main(folder: Path) -> None:
    """Trains from the checkpoint in `folder`, which is written after every step."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    pack = tiny_pack()
    tokenizer = text_tokenizer(pack, seed=0, vocabulary=VOCABULARY)
    text = TextEncoder(TextEncoderConfig(vocabulary=tokenizer.get_vocab_size(), **TEXT_PRESETS["tiny"]))
    config = ImageEncoderConfig(concepts=len(pack.concepts), **IMAGE_PRESETS["tiny"])
    image = channels_last(ImageEncoder(config))
    sampler = Sampler(pack, tokenizer, torch.device("cpu"), seed=1, pixels=config.pixels, loose=0.03)
    trainer = TellingTrainer(text, image, sampler, styles=len(pack.styles), space_width=config.space_width, batch=4)
    budget = Budget(steps=STEPS, minutes=0)
    train(trainer, budget, folder, Console(quiet=True), Conditions(checkpoint_seconds=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
