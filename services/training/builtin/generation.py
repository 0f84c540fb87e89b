"""`diptych train builtin generation`: the generator, in four stages, for the text encoder in OUT."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from services.generation.config import PRESETS, GeneratorConfig
from services.generation.model import Generator
from services.training.builtin.material import Material
from services.training.builtin.planning import (
    caption_encoder,
    caption_prompts,
    layout_index,
    named_backgrounds,
)
from services.training.builtin.run import Run, digest_of
from services.training.data.pack import Pack
from services.training.data.scenes.classes import BACKGROUNDS, COLOURS
from services.training.discriminator import Discriminator
from services.training.export import write_model_directory
from services.training.generating.adversarial import AdversarialTrainer
from services.training.generating.pages import PagesTrainer
from services.training.generating.plans import PlansTrainer
from services.training.generating.scene_drawings import SceneDrawings
from services.training.generating.sources import AllPages, CaptionPrompts, PromptedScenes, ScenePages
from services.training.generating.things import Drawings, ThingsTrainer
from services.training.models import read_generator, read_text_encoder, require_same_space
from shared.errors import ConfigurationError
from shared.inference.model_directory import ModelDirectory
from shared.inference.runtime import channels_last

SHARES = {"things": 0.82, "pages": 0.07, "plans": 0.09, "adversarial": 0.02}
"""Of the budget."""
FURTHER_SHARES = {"pages": 0.25, "plans": 0.75}
"""The same, of a generator that goes on."""
SCENE_SHARE = 0.4
"""Of the drawings that the painter learns, those of scenes."""


def train_generation(run: Run) -> None:
    """Trains stage after stage, each with a checkpoint folder of its own, and writes the generator's directory.

    The first two, which take most of the time, know no words: they may run before there is a text encoder, and go on
    where they were when there is a new joint space, for which the others begin anew. Raises ConfigurationError where
    there is no data, or fewer scenes than a step takes, and, after them, ModelDirectoryError where there is no text
    encoder in OUT. With --from it is pages and plans that go on, in that generator: what draws things stays.
    """
    options, material = run.options, run.material
    if options.batch > len(material.pool):
        raise ConfigurationError(f"--batch {options.batch}: more than there are scenes, {len(material.pool)}")
    if options.start is not None:
        _go_on(run)
        return
    pack, drawings = material.pack, material.drawings
    config = GeneratorConfig(**PRESETS[options.preset] | table_sizes(material))  # type: ignore[arg-type]
    generator = channels_last(Generator(config).to(run.device))
    backgrounds = nn.Embedding(len(BACKGROUNDS) + 1, config.content_width).to(run.device)

    anchor = ThingsTrainer(generator, all_drawings(pack, drawings), batch=options.batch, seed=options.seed + 1)
    run.train(anchor, stage="things", share=SHARES["things"])
    anchor.take_average()
    _train_pages(run, generator, backgrounds, share=SHARES["pages"])

    text, tokenizer, directory = read_text_encoder(options.out / "text", run.device)
    encode = caption_encoder(text, tokenizer)
    prompts = caption_prompts(material, generator, backgrounds, encode, seed=options.seed + 3)
    _train_plans(run, generator, prompts, directory, share=SHARES["plans"])

    discriminator = channels_last(Discriminator(config.space_width, config.pixels).to(run.device))
    trainer = AdversarialTrainer(
        generator, discriminator, PromptedScenes(prompts, pack, material.pool, side=config.pixels), anchor,
        batch=options.batch,
    )  # fmt: skip
    run.train(trainer, stage="adversarial", share=SHARES["adversarial"], base=digest_of(generator, directory.digest))
    _write(run, trainer.average.mean, config, directory.space)


def _go_on(run: Run) -> None:
    """Pages and plans of the generator that --from names, for the text encoder in OUT."""
    generator, start = read_generator(run.start_of("generation"), run.device)
    text, tokenizer, directory = read_text_encoder(run.options.out / "text", run.device)
    require_same_space(start, directory)
    if (rows := table_sizes(run.material)) != (known := {name: getattr(generator.config, name) for name in rows}):
        raise ConfigurationError(f"{start.path} draws other things than there is data of: {known}, not {rows}")
    encode = caption_encoder(text, tokenizer)
    backgrounds = named_backgrounds(run.material, generator, encode)
    _train_pages(run, generator, backgrounds, share=FURTHER_SHARES["pages"], base=start.digest + directory.digest)
    prompts = caption_prompts(run.material, generator, backgrounds, encode, seed=run.options.seed + 3)
    _train_plans(run, generator, prompts, directory, share=FURTHER_SHARES["plans"])
    _write(run, generator, generator.config, directory.space, start)


def _train_pages(run: Run, generator: Generator, backgrounds: nn.Embedding, *, share: float, base: str = "") -> None:
    material, pack, side = run.material, run.material.pack, generator.config.pixels
    index = layout_index(material, slots=generator.config.slots)
    scenes = ScenePages(material.pool, material.sprites, material.drawings, index, styles=pack.styles, side=side,
                        seed=run.options.seed + 2)  # fmt: skip
    source = AllPages(scenes, pack, index, side=side)
    pages = PagesTrainer(generator, backgrounds, source, batch=run.options.batch)
    run.train(pages, stage="pages", share=share, base=base)
    pages.take_average()


def _train_plans(
    run: Run, generator: Generator, prompts: CaptionPrompts, text: ModelDirectory, *, share: float
) -> None:
    plans = PlansTrainer(generator, prompts, batch=4 * run.options.batch)
    run.train(plans, stage="plans", share=share, base=digest_of(generator, text.digest))
    plans.take_average()


def _write(
    run: Run, generator: nn.Module, config: GeneratorConfig, space: str, start: ModelDirectory | None = None
) -> None:
    card = run.card("generation", "Paints pictograms and scenes from English or Chinese words.", space, metrics={},
                    start=start)  # fmt: skip
    write_model_directory(
        run.options.out / "generation", task="generation", module=generator.eval(), config=config, card=card
    )


def table_sizes(material: Material) -> dict[str, int]:
    """Rows of a generator's tables, by their names in GeneratorConfig."""
    return {"things": len(material.pack.concepts) + material.drawings.rows, "colours": 1 + len(COLOURS)}


def all_drawings(pack: Pack, drawings: SceneDrawings) -> Drawings:
    """The pictograms of the split `train`, and those of scenes, each known by its row of the table."""
    rows = np.flatnonzero(pack.train)
    concept = torch.from_numpy(pack.concept[rows])
    weight = 1 / torch.bincount(concept, minlength=len(pack.concepts))[concept].float() ** 0.5
    side = drawings.ink.shape[-1]
    ink = torch.from_numpy(pack.pixels[rows]).permute(0, 3, 1, 2)
    opacity = torch.from_numpy(pack.alpha[rows])[:, None]
    if ink.shape[-1] != side:
        raise ValueError(f"pictograms are {ink.shape[-1]} px wide, drawings of scenes {side}")
    return Drawings(
        ink=torch.cat((ink, drawings.ink)),
        opacity=torch.cat((opacity, drawings.opacity)),
        concept=torch.cat((concept, drawings.concept)),
        colour=torch.cat((torch.zeros_like(concept), drawings.colour)),
        style=torch.cat((torch.from_numpy(pack.style[rows]), drawings.style)),
        weight=torch.cat((
            (1 - SCENE_SHARE) * weight / weight.sum(), SCENE_SHARE * drawings.weight / drawings.weight.sum()
        )),
    )  # fmt: skip
