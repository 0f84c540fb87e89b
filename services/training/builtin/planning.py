"""What the generator's planner learns from; `diptych train builtin generation --from`, which trains it alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from services.generation.config import GeneratorConfig
from services.training.builtin.material import Material
from services.training.builtin.measuring import encode_captions
from services.training.builtin.run import Run, digest_of
from services.training.data.captions import STYLE_WORDS, label
from services.training.data.meanings import LANGUAGES
from services.training.data.scenes.captions import canonical_caption
from services.training.data.scenes.classes import BACKGROUNDS, COLOURS
from services.training.export import write_model_directory
from services.training.generating.layouts import LayoutIndex
from services.training.generating.plans import PlansTrainer, planned_backgrounds
from services.training.generating.scene_drawings import table_rows
from services.training.generating.sources import CaptionPrompts
from services.training.models import read_generator, read_text_encoder
from shared.inference.model_directory import ModelDirectory

TEXTS_A_BACKGROUND = 200


def go_on_with_plans(run: Run) -> None:
    """Teaches the planner of --from's generator for the text encoder in OUT; what paints stays to the bit.

    Raises ConfigurationError where there is no data, ModelDirectoryError where there is no such model.
    """
    generator, start = read_generator(run.start_of("generation"), run.device)
    text, tokenizer, directory = read_text_encoder(run.options.out / "text", run.device)

    def encode(texts: Sequence[str]) -> Tensor:
        return encode_captions(text, tokenizer, texts)

    config = start.config(GeneratorConfig)
    backgrounds = nn.Embedding(len(BACKGROUNDS) + 1, config.content_width).to(run.device)
    with torch.no_grad():
        for row, texts in enumerate(background_texts(run.material)):
            backgrounds.weight[row] = planned_backgrounds(generator.planner, encode(texts)).mean(dim=0)
    prompts = caption_prompts(run, layout_index(run.material, slots=config.slots), backgrounds, encode)
    plans = PlansTrainer(generator, prompts, batch=4 * run.options.batch)
    run.train(plans, stage="plans", base=digest_of(generator, directory.digest))
    plans.take_average()
    write_generator(run, generator.eval(), config, directory.space, start=start)


def background_texts(material: Material) -> list[list[str]]:
    """By background, the last row for plain pages, captions that name it or that are of pictograms."""
    scenes = material.pool.scenes
    found = []
    for background in BACKGROUNDS:
        some = [scene for scene in scenes if scene.background == background][:TEXTS_A_BACKGROUND]
        found.append([canonical_caption(scene, language).text for scene in some for language in LANGUAGES])
    plain = material.pack.concepts[:TEXTS_A_BACKGROUND]
    return [*found, [label(concept, language) for concept in plain for language in LANGUAGES]]


def layout_index(material: Material, *, slots: int) -> LayoutIndex:
    """Which row of the table, which colour and which background stands for what."""
    return LayoutIndex(
        rows=table_rows(material.sprites, len(material.pack.concepts)), colours=list(COLOURS),
        backgrounds=list(BACKGROUNDS), slots=slots,
    )  # fmt: skip


def caption_prompts(
    run: Run, index: LayoutIndex, backgrounds: nn.Embedding, encode: Callable[[Sequence[str]], Tensor]
) -> CaptionPrompts:
    """What the planner learns from: captions of the run's material."""
    material = run.material
    return CaptionPrompts(material.pack, material.pool.scenes, material.sprites, index, backgrounds, encode,
                          style_words=style_words, seed=run.options.seed + 3)  # fmt: skip


def style_words(style: str, rng: random.Random) -> tuple[str, str]:
    """An English and a Chinese word for a style."""
    english, chinese = STYLE_WORDS[style]
    return rng.choice(english), rng.choice(chinese)


def write_generator(
    run: Run, generator: nn.Module, config: GeneratorConfig, space: str, *, start: ModelDirectory | None = None
) -> None:
    """Its directory in OUT."""
    description = "Paints pictograms and scenes from English or Chinese words."
    card = run.card("generation", description, space, metrics={}, start=start)
    write_model_directory(run.options.out / "generation", task="generation", module=generator, config=config, card=card)
