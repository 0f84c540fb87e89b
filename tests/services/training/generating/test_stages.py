"""Each stage of the generator learns what it is for, on tiny networks."""

from __future__ import annotations

import random

import torch

from services.generation.config import PRESETS, GeneratorConfig
from services.generation.model import Generator
from services.generation.planner import SLOT_NOISE
from services.training.discriminator import Discriminator
from services.training.generating.adversarial import AdversarialTrainer, PromptedPictures, augmented
from services.training.generating.layouts import Layout
from services.training.generating.pages import PagesTrainer
from services.training.generating.plans import PlansTrainer, Prompts, energy_score
from services.training.generating.things import Drawings, ThingsTrainer

CONFIG = GeneratorConfig(**PRESETS["tiny"])  # type: ignore[arg-type]
SIDE = CONFIG.pixels


def _drawings() -> Drawings:
    """A black square and a white disc's worth of nothing, one concept each."""
    ink = torch.full((2, 3, SIDE, SIDE), 255, dtype=torch.uint8)
    opacity = torch.zeros(2, 1, SIDE, SIDE, dtype=torch.uint8)
    ink[0, :, 8:24, 8:24] = 0
    opacity[0, :, 8:24, 8:24] = 255
    ink[1, 0, :, 16:] = 0
    opacity[1, :, :, 16:] = 255
    return Drawings(ink=ink, opacity=opacity, concept=torch.tensor([0, 1]), colour=torch.tensor([0, 1]),
                    style=torch.tensor([0, 1]), weight=torch.ones(2))  # fmt: skip


def _prompts(size: int) -> Prompts:
    """Vectors of two kinds: one thing on the left, or one on the right; each background is as likely."""
    kind = torch.arange(size) % 2
    vectors = torch.zeros(size, CONFIG.space_width)
    vectors[torch.arange(size), kind] = 1
    boxes = torch.tensor([[0.25, 0.5, 0.5], [0.75, 0.5, 0.5]])[kind]
    presence = torch.tensor([[1.0, 0.0]]).repeat(size, 1)
    background = torch.randint(0, 2, (size, 1)).float().repeat(1, CONFIG.content_width) * 8
    return Prompts(
        vectors=vectors, things=2 + kind[:, None].repeat(1, 2), colours=1 + kind[:, None].repeat(1, 2),
        presence=presence,
        reversible=kind[:, None].repeat(1, 2).float(),
        boxes=boxes[:, None].repeat(1, 2, 1), depths=torch.zeros(size, 2), background=background, style=kind,
    )  # fmt: skip


class _PromptSource:
    generator = random.Random(0)

    def draw(self, size: int) -> Prompts:
        return _prompts(size)


def test_the_painter_comes_near_the_drawings_of_each_row() -> None:
    torch.manual_seed(0)
    trainer = ThingsTrainer(Generator(CONFIG), _drawings(), batch=8, seed=0)
    first = trainer.step(0.1)["l1"]
    for _ in range(110):
        last = trainer.step(0.1)["l1"]
    assert last < 0.75 * first


def test_the_energy_score_is_least_for_samples_of_the_very_distribution() -> None:
    torch.manual_seed(0)
    truth, first, second = (torch.randn(4000, 2) for _ in range(3))
    right = energy_score(first, second, truth)
    assert right < energy_score(first + 0.5, second + 0.5, truth)  # elsewhere
    assert right < energy_score(first * 0.3, second * 0.3, truth)  # too sure
    assert right < energy_score(first * 3, second * 3, truth)  # too wide


def test_the_planner_learns_what_words_say_and_how_the_rest_varies() -> None:
    torch.manual_seed(0)
    generator = Generator(CONFIG)
    trainer = PlansTrainer(generator, _PromptSource(), batch=64)
    for _ in range(300):
        trainer.step(0.1)
    prompts = _prompts(64)
    plan = generator.planner(prompts.vectors, torch.randn(64, CONFIG.slots + 1, SLOT_NOISE))
    assert ((plan.presence > 0) == (prompts.presence > 0)).all()
    assert (plan.boxes[:, 0] - prompts.boxes[:, 0]).abs().mean() < 0.1
    assert plan.things[:, 0].argmax(dim=1).equal(prompts.things[:, 0])
    assert plan.colours[:, 0].argmax(dim=1).equal(prompts.colours[:, 0])
    known = generator.planner.table(prompts.things[:, 0], prompts.colours[:, 0])
    meant = generator.planner.table.mix(plan.things[:, 0].softmax(dim=1), plan.colours[:, 0].softmax(dim=1))
    assert torch.nn.functional.cosine_similarity(meant, known).min() > 0.9
    assert plan.style.argmax(dim=1).equal(prompts.style)
    assert ((plan.reversible[:, 0] > 0) == (prompts.reversible[:, 0] > 0)).all()
    assert plan.background.mean(dim=1).std() > 2  # both backgrounds, and not their mean


class _PageSource:
    """Pages of two greys, each with a black square in the middle."""

    generator = random.Random(0)

    def draw(self, size: int) -> tuple[torch.Tensor, torch.Tensor, Layout, torch.Tensor]:
        grey = torch.arange(size) % 2
        pictures = (0.3 + 0.4 * grey.float())[:, None, None, None].repeat(1, 3, SIDE, SIDE)
        pictures[:, :, 8:24, 8:24] = 0
        drawings = torch.zeros(size, 2, 4, SIDE, SIDE)
        drawings[:, 0, :3, 8:24, 8:24] = -1
        drawings[:, 0, 3, 8:24, 8:24] = 1
        zeros = torch.zeros(size, 2, dtype=torch.long)
        layout = Layout(
            drawing=zeros, colour=zeros, boxes=torch.tensor([0.5, 0.5, 1.0]).repeat(size, 2, 1),
            depths=torch.zeros(size, 2), presence=torch.tensor([[1.0, 0.0]]).repeat(size, 1),
            mirrored=zeros.bool(), reversible=zeros, sprites=zeros, background=grey,
        )  # fmt: skip
        style = torch.nn.functional.one_hot(torch.zeros(size, dtype=torch.long), CONFIG.styles).float()
        return pictures, drawings, layout, style


def test_backgrounds_are_told_apart_and_things_stay_as_they_were_drawn() -> None:
    torch.manual_seed(0)
    generator, backgrounds = Generator(CONFIG), torch.nn.Embedding(2, CONFIG.content_width)
    trainer = PagesTrainer(generator, backgrounds, _PageSource(), batch=8)
    first = trainer.step(0.1)["l1"]
    for _ in range(110):
        last = trainer.step(0.1)["l1"]
    assert last < first / 3


def test_augmentation_is_the_same_for_equal_seeds_and_keeps_the_size() -> None:
    pictures = torch.rand(2, 3, SIDE, SIDE) * 2 - 1
    assert torch.equal(augmented(pictures, 3), augmented(pictures, 3))
    assert augmented(pictures, 3).shape == pictures.shape
    assert not torch.equal(augmented(pictures, 3), augmented(pictures, 4))


class _PictureSource:
    """Pictures of one grey, drawn at random."""

    def __init__(self) -> None:
        self.generator = random.Random(0)

    def draw(self, size: int) -> PromptedPictures:
        grey = self.generator.uniform(-1, 1)
        return PromptedPictures(prompts=_prompts(size), pictures=torch.full((size, 3, SIDE, SIDE), grey))


def _adversarial(source: _PictureSource) -> AdversarialTrainer:
    generator = Generator(CONFIG)
    discriminator = Discriminator(CONFIG.space_width, SIDE, widths=(4, 8, 8))
    anchor = ThingsTrainer(generator, _drawings(), batch=4, seed=0)
    return AdversarialTrainer(generator, discriminator, source, anchor, batch=4)


def test_an_adversarial_step_moves_both_networks_and_every_part_of_the_generator() -> None:
    torch.manual_seed(0)
    trainer = _adversarial(_PictureSource())
    generator, discriminator = trainer.generator, trainer.discriminator
    before = {name: value.detach().clone() for name, value in generator.named_parameters()}
    judged = [value.detach().clone() for value in discriminator.parameters()]
    for _ in range(13):  # one of them with penalties
        losses = trainer.step(0.3)
    assert all(torch.isfinite(value) for value in losses.values())
    still = [name for name, value in generator.named_parameters() if torch.equal(value, before[name])]
    assert still == []
    assert not all(torch.equal(one, other) for one, other in zip(judged, discriminator.parameters(), strict=True))
