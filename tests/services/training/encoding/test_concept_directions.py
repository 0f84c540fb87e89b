"""What the head calls a concept is told from its pictures in one step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional

from services.classification.config import PRESETS, ImageEncoderConfig
from services.classification.model import ImageEncoder
from services.training.data.pack import Pack
from services.training.encoding.concept_directions import directions, fit_concepts
from services.training.tiny import tiny_pack


def test_directions_turn_away_from_what_pictures_of_one_concept_differ_in() -> None:
    generator, width = torch.Generator().manual_seed(0), 32
    centres = torch.zeros(2, width)
    centres[:, 0], centres[:, 2] = 1, torch.tensor([0.3, -0.3])

    def drawn(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        concept = torch.arange(2).repeat(count)
        noise = 0.05 * torch.randn(2 * count, width, generator=generator)
        noise[:, 1] *= 40  # what pictures of one concept differ in
        return functional.normalize(centres[concept] + noise, dim=1), concept

    few, concept = drawn(4)
    found = directions(few[None], concept, torch.full((8,), 0.25), 3)
    assert torch.allclose(found.norm(dim=1), torch.tensor([1.0, 1.0, 0.0]))
    means = functional.normalize(torch.stack([few[concept == row].mean(dim=0) for row in (0, 1)]), dim=1)
    many, right = drawn(500)
    by_direction, by_mean = ((many @ rows[:2].T).argmax(dim=1) == right for rows in (found, means))
    assert by_direction.float().mean() > 0.95 > 0.8 > by_mean.float().mean()


def test_shares_weigh_pictures() -> None:
    vectors = functional.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.7, -0.7]]), dim=1)
    concept = torch.tensor([0, 0, 1])
    first, second = (
        directions(vectors[None], concept, torch.tensor([share, 1 - share, 1.0]), 2)[0] for share in (0.9, 0.1)
    )
    assert first[0] > first[1] and second[0] < second[1]


def test_only_rows_of_concepts_with_training_pictures_turn_and_keep_their_length() -> None:
    whole = tiny_pack()
    pack = replace(whole, split=np.where(whole.concept == 2, 3, whole.split).astype(np.uint8))  # held out whole
    image, before = _encoder(pack)
    fit_concepts(image, pack)
    changed = {name for name, value in image.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"concepts"}
    rows = (image.concepts != before["concepts"]).any(dim=1).tolist()
    assert rows == [True, True, False, True]
    assert torch.allclose(image.concepts.norm(dim=1), before["concepts"].norm(dim=1))


def test_pictures_that_are_held_out_have_no_say() -> None:
    pack, rows = tiny_pack(), []
    other = np.where(pack.train[:, None, None, None], pack.pixels, 255 - pack.pixels)
    assert (other != pack.pixels).any()
    for each in (pack, replace(pack, pixels=other, alpha=np.where(pack.train[:, None, None], pack.alpha, 0))):
        image, _ = _encoder(each)
        torch.manual_seed(1)
        fit_concepts(image, each)
        rows.append(image.concepts.detach())
    assert torch.equal(*rows)


def _encoder(pack: Pack) -> tuple[ImageEncoder, dict[str, torch.Tensor]]:
    """A tiny one, of equal weights each time, and these."""
    torch.manual_seed(0)
    heads = {"subgroup": 2, "background": 3, "objects": 4, "colour": 2, "style": len(pack.styles)}
    image = ImageEncoder(ImageEncoderConfig(concepts=len(pack.concepts), heads=heads, **PRESETS["tiny"])).eval()
    return image, {name: value.clone() for name, value in image.state_dict().items()}
