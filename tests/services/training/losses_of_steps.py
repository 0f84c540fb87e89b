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
from services.training.data.scenes.classes import BACKGROUNDS, COLOURS, object_classes
from services.training.data.scenes.pool import build_pool, read_pool
from services.training.data.scenes.sprites import write_sprites
from services.training.encoding.batches import EncoderBatches
from services.training.encoding.joint import JointTrainer
from services.training.encoding.objectives import Objectives
from services.training.encoding.scene_facts import FactIndex
from services.training.encoding.scene_sampler import SceneSampler
from services.training.encoding.word_lessons import WordLessons
from services.training.loop import Budget, Conditions, train
from services.training.samples import Sampler
from services.training.tiny import VOCABULARY, tiny_pack
from services.training.tokenizers import train_tokenizer
from shared.inference.runtime import channels_last
from tests.services.training.data.scenes.drawings import sprites
from tests.services.training.data.tiny_lexicon import tiny_lexicon

STEPS = 20
SCENES = 8


class TellingTrainer(JointTrainer):
    """Draws from samplers of its own and from torch, has batch norm, moving averages, and convolutions with channels
    last."""

    def step(self, share: float) -> Mapping[str, Tensor]:
        """Prints the step's losses to the last bit."""
        losses = super().step(share)
        print(round(share * STEPS) + 1, *(float(loss.item()).hex() for loss in losses.values()), flush=True)
        return losses


def main(folder: Path) -> None:
    """Trains from the checkpoint in `folder`, which is written after every step, on scenes that are kept beside it."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    pack, lexicon = tiny_pack(), tiny_lexicon()
    file, pool = folder.parent / "sprites.tar", folder.parent / "pool"
    write_sprites(sprites(), file)
    build_pool(pool, file, count=SCENES, first_seed=0, split="train", workers=0, chunk=SCENES)
    index = FactIndex(kinds=list(object_classes()), colours=list(COLOURS), backgrounds=list(BACKGROUNDS))
    tokenizer = train_tokenizer(["a cat on the grass", "一只猫在草地上"], vocabulary=VOCABULARY, lower_case=True)
    text = TextEncoder(TextEncoderConfig(vocabulary=tokenizer.get_vocab_size(), **TEXT_PRESETS["tiny"]))
    heads = {
        "subgroup": 1, "background": len(index.backgrounds) + 1, "objects": len(index.kinds),
        "colour": len(index.colours), "style": len(pack.styles),
    }  # fmt: skip
    config = ImageEncoderConfig(concepts=len(pack.concepts), heads=heads, **IMAGE_PRESETS["tiny"])
    device = torch.device("cpu")
    image = channels_last(ImageEncoder(config))
    trainer = TellingTrainer(
        text, image, tokenizer,
        EncoderBatches(
            Sampler(pack, device, seed=1, pixels=config.pixels, loose=0.03),
            SceneSampler(read_pool(pool), index, WordLessons(lexicon, seed=2), styles=pack.styles, seed=3),
            tokenizer, device, size=8, pixels=config.pixels,
        ),
        Objectives(image, index, subgroups=torch.zeros(len(pack.concepts), dtype=torch.long), styles=len(pack.styles)),
        WordLessons(lexicon, seed=4),
    )  # fmt: skip
    budget = Budget(steps=STEPS, minutes=0)
    train(trainer, budget, folder, Console(quiet=True), Conditions(checkpoint_seconds=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
