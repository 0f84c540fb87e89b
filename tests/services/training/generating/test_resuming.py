"""Each stage of the generator goes on as if it had never stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from services.generation.config import PRESETS, GeneratorConfig
from services.generation.model import Generator
from services.training.data.scenes.classes import BACKGROUNDS, COLOURS
from services.training.data.sources import STYLES
from services.training.discriminator import Discriminator
from services.training.generating.adversarial import AdversarialTrainer
from services.training.generating.pages import PagesTrainer
from services.training.generating.plans import PlansTrainer
from services.training.generating.scene_drawings import SceneDrawings
from services.training.generating.sources import CaptionPrompts, PromptedScenes, ScenePages
from services.training.generating.things import ThingsTrainer
from services.training.loop import Trainer
from services.training.tiny import tiny_pack
from tests.services.training.generating.scenery import CONCEPTS, SLOTS, drawings, index, pool, sprites
from tests.services.training.stopping import assert_same, whole_and_resumed


def _generator(known: SceneDrawings) -> Generator:
    """Equal each time."""
    torch.manual_seed(1)
    config = GeneratorConfig(**PRESETS["tiny"])  # type: ignore[arg-type]
    config = replace(config, things=CONCEPTS + known.rows, colours=1 + len(COLOURS), slots=SLOTS)
    return Generator(config)


def _backgrounds(generator: Generator) -> nn.Embedding:
    return nn.Embedding(len(BACKGROUNDS) + 1, generator.config.content_width)


def _prompts(generator: Generator) -> CaptionPrompts:
    """A text's vector is drawn by its length."""
    points = functional.normalize(torch.randn(1000, generator.config.space_width), dim=1)
    return CaptionPrompts(
        tiny_pack(), pool().scenes, sprites(), index(), _backgrounds(generator),
        lambda texts: points[[len(text) for text in texts]], style_words=lambda style, rng: (style, style), seed=5,
    )  # fmt: skip


def test_the_stage_of_things_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    known = drawings(tmp_path)

    def make() -> Trainer:
        return ThingsTrainer(_generator(known), known, batch=8, seed=2)

    assert_same(*whole_and_resumed(make, tmp_path))


def test_the_stage_of_pages_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    known = drawings(tmp_path)

    def make() -> Trainer:
        generator = _generator(known)
        pages = ScenePages(pool(), sprites(), known, index(), styles=STYLES, side=generator.config.pixels, seed=3)
        return PagesTrainer(generator, _backgrounds(generator), pages, batch=4)

    assert_same(*whole_and_resumed(make, tmp_path))


def test_the_stage_of_plans_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    known = drawings(tmp_path)

    def make() -> Trainer:
        generator = _generator(known)
        return PlansTrainer(generator, _prompts(generator), batch=9)

    assert_same(*whole_and_resumed(make, tmp_path))


def test_the_adversarial_stage_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    known = drawings(tmp_path)

    def make() -> Trainer:
        generator = _generator(known)
        side = generator.config.pixels
        return AdversarialTrainer(
            generator, Discriminator(generator.config.space_width, side, widths=(4, 8, 8)),
            PromptedScenes(_prompts(generator), tiny_pack(), pool(), side=side),
            ThingsTrainer(generator, known, batch=4, seed=2), batch=6,
        )  # fmt: skip

    assert_same(*whole_and_resumed(make, tmp_path))
