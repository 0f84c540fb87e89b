"""An image encoder learns what captions' vectors say, while what it began with stays where it shall."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from services.classification.config import PRESETS, ImageEncoderConfig
from services.classification.model import ImageEncoder
from services.text.config import PRESETS as TEXT_PRESETS
from services.text.config import TextEncoderConfig
from services.text.model import TextEncoder
from services.training.data.scenes.classes import BACKGROUNDS, COLOURS, object_classes
from services.training.data.scenes.pool import build_pool, read_pool
from services.training.data.scenes.sprites import write_sprites
from services.training.encoding.batches import EncoderBatches
from services.training.encoding.locked import ImageTrainer
from services.training.encoding.objectives import Objectives
from services.training.encoding.scene_facts import FactIndex
from services.training.encoding.scene_sampler import SceneSampler
from services.training.encoding.word_lessons import WordLessons
from services.training.samples import Sampler
from services.training.tiny import VOCABULARY, tiny_pack
from services.training.tokenizers import train_tokenizer
from tests.services.training.data.scenes.drawings import sprites
from tests.services.training.data.tiny_lexicon import tiny_lexicon
from tests.services.training.stopping import assert_same, whole_and_resumed

DEVICE = torch.device("cpu")
SCENES = 8


@cache
def tokenizer() -> Tokenizer:
    """Of a few words."""
    return train_tokenizer(["a cat on the grass"], vocabulary=VOCABULARY, lower_case=True)


def text_encoder() -> TextEncoder:
    """With random weights."""
    return TextEncoder(TextEncoderConfig(vocabulary=tokenizer().get_vocab_size(), **TEXT_PRESETS["tiny"]))


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of composed scenes."""
    folder = tmp_path_factory.mktemp("scenes")
    write_sprites(sprites(), folder / "sprites.tar")
    build_pool(folder / "pool", folder / "sprites.tar", count=SCENES, first_seed=0, split="train", workers=0,
               chunk=SCENES)  # fmt: skip
    return folder / "pool"


def trainer(pool: Path, *, pretrained: bool, text: TextEncoder | None = None) -> ImageTrainer:
    """Of a tiny residual encoder; the one before it is another of the same shape, and has the text encoder `text`."""
    torch.manual_seed(0)
    pack, index = tiny_pack(), FactIndex(kinds=list(object_classes()), colours=list(COLOURS),
                                         backgrounds=list(BACKGROUNDS))  # fmt: skip
    text = text or text_encoder()
    heads = {
        "subgroup": 1, "background": len(index.backgrounds) + 1, "objects": len(index.kinds),
        "colour": len(index.colours), "style": len(pack.styles),
    }  # fmt: skip
    config = ImageEncoderConfig(concepts=len(pack.concepts), heads=heads, **PRESETS["tiny"])
    image, before = ImageEncoder(config), ImageEncoder(config)
    batches = EncoderBatches(
        Sampler(pack, DEVICE, seed=1, pixels=config.pixels, loose=0.0),
        SceneSampler(read_pool(pool), index, WordLessons(tiny_lexicon(), seed=2), styles=pack.styles, seed=3),
        tokenizer(), DEVICE, size=8, pixels=config.pixels,
    )  # fmt: skip
    subgroups = torch.zeros(len(pack.concepts), dtype=torch.long)
    objectives = Objectives(image, index, subgroups=subgroups, styles=len(pack.styles))
    return ImageTrainer(image, before, text, batches, objectives, pretrained=pretrained)


def state(module: nn.Module) -> dict[str, Tensor]:
    """Weights and statistics as they are now."""
    return {name: value.clone() for name, value in module.state_dict().items()}


def changes(trained: ImageTrainer, steps: int) -> set[str]:
    """Names of weights and statistics that are not what they were."""
    before = state(trained.image)
    for _ in range(steps):
        trained.image.train()
        trained.step(0.5)
    return {name for name, value in trained.image.state_dict().items() if not torch.equal(value, before[name])}


def test_first_maps_of_a_pretrained_encoder_stay_and_all_else_learns(pool: Path) -> None:
    learning = trainer(pool, pretrained=True)
    changed, names = changes(learning, 2), set(learning.image.state_dict())
    assert not {name for name in changed if name.startswith(("stem.", "stages.0."))}
    assert {name for name in names if name.startswith("stages.1.")} <= changed
    assert {"concepts", "projection.weight", "to_tokens.weight"} <= changed
    before = state(learning.image)
    learning.take_average()
    averaged = state(learning.image)
    assert torch.equal(averaged["stem.0.weight"], before["stem.0.weight"])
    assert not torch.equal(averaged["projection.weight"], before["projection.weight"])


def test_encoder_from_scratch_learns_whole(pool: Path) -> None:
    assert {"stem.0.weight", "stages.0.0.conv1.weight", "projection.weight"} <= changes(
        trainer(pool, pretrained=False), 2
    )


def test_text_encoder_stays(pool: Path) -> None:
    text = text_encoder()
    before = state(text)
    changes(trainer(pool, pretrained=False, text=text), 2)
    assert all(torch.equal(value, before[name]) for name, value in state(text).items())
    assert not text.training


def test_a_resumed_run_has_the_losses_of_one_that_never_stopped(pool: Path, tmp_path: Path) -> None:
    assert_same(*whole_and_resumed(lambda: trainer(pool, pretrained=True), tmp_path))


def test_losses_fall_and_tokens_come_near_those_of_the_encoder_before(pool: Path) -> None:
    learning = trainer(pool, pretrained=False)
    told = [learning.step(0.1) for _ in range(70)]
    assert {"contrast", "concept", "cells", "tokens"} <= set(told[0])
    first, last = (
        {name: sum(losses[name] for losses in ten) / 10 for name in ("tokens", "concept")}
        for ten in (told[:10], told[-10:])
    )
    assert last["tokens"] < 0.8 * first["tokens"]
    assert last["concept"] < first["concept"]
