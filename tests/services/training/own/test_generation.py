"""A generator of one's own goes on as if it had never stopped: both networks, and the average that is served."""

from __future__ import annotations

from pathlib import Path

import torch

from services.generation.config import PRESETS, GeneratorConfig
from services.generation.model import Generator
from services.training.own.generation import OwnGeneratorTrainer
from services.training.own.options import GenerationOptions
from services.training.own.run import started
from tests.services.training.own.drawings import write_drawings
from tests.services.training.stopping import assert_same, whole_and_resumed

CONFIG = GeneratorConfig(**PRESETS["tiny"])  # type: ignore[arg-type]


def test_a_resumed_generator_has_the_losses_and_the_average_of_one_that_never_stopped(tmp_path: Path) -> None:
    """Its last steps are those of both networks."""
    options = GenerationOptions(data=write_drawings(tmp_path / "pictures"), out=tmp_path / "out", batch=8,
                                device="cpu", precision="fp32")  # fmt: skip
    with started("generation", options) as run:
        data = run.read(CONFIG.pixels, needs="caption")
        rows, _ = run.split(data)
        vectors = torch.nn.functional.normalize(torch.randn(len(data.captions), CONFIG.space_width), dim=1)

        def make() -> OwnGeneratorTrainer:
            torch.manual_seed(1)
            return OwnGeneratorTrainer(run, Generator(CONFIG), run.batches(data, rows), vectors, run.optimisation(1e-3))

        whole, resumed = whole_and_resumed(make, tmp_path)
    assert "judge" in whole.losses[-1]
    assert_same(whole, resumed)
