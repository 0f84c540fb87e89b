"""What a trained generator knows backgrounds by is had from its planner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import torch
from rich.console import Console
from torch import Tensor, nn

from services.generation.config import PRESETS, GeneratorConfig
from services.generation.model import Generator
from services.training.builtin.material import Material
from services.training.builtin.planning import named_backgrounds
from services.training.data.meanings import LANGUAGES
from services.training.data.scenes.captions import canonical_caption
from services.training.data.scenes.classes import BACKGROUNDS
from tests.services.training.builtin.material import SCENES, write_material


class _Planner(nn.Module):
    """Plans the background that a vector's first number names, give or take what cancels out in pairs."""

    slots = 2

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.zeros(1))

    def forward(self, vectors: Tensor, noise: Tensor) -> SimpleNamespace:
        sign = 1 - 2.0 * (torch.arange(len(vectors)) % 2)
        return SimpleNamespace(background=vectors[:, :1] + sign[:, None])


def test_a_background_is_the_mean_of_what_is_planned_for_captions_that_name_it(tmp_path: Path) -> None:
    write_material(tmp_path)
    material = Material(folder=tmp_path / "pack", scenes=tmp_path / "scenes", scene_count=SCENES, workers=1,
                        console=Console(quiet=True))  # fmt: skip
    backgrounds = list(BACKGROUNDS)
    number = {
        canonical_caption(scene, language).text: backgrounds.index(scene.background)
        for scene in material.pool.scenes
        for language in LANGUAGES
    }
    generator = Generator(GeneratorConfig(**PRESETS["tiny"]))  # type: ignore[arg-type]
    generator.planner = _Planner()  # type: ignore[assignment]

    def encode(texts: Sequence[str]) -> Tensor:
        return torch.tensor([[float(number.get(text, -1))] for text in texts])

    table = named_backgrounds(material, generator, encode).weight[:, 0]

    seen = sorted({scene.background for scene in material.pool.scenes}, key=backgrounds.index)
    assert len(seen) > 3
    assert table[[backgrounds.index(one) for one in seen]].tolist() == [backgrounds.index(one) for one in seen]
    assert table[-1] == -1
