"""Two processes under torchrun take the steps of one with the same global batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import CliRunner

from services.training.cli import train
from services.training.processes import Processes
from services.training.tiny import write_tiny_models
from shared.errors import ConfigurationError
from tests.services.training.own.drawings import write_drawings

STEPS = 10
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            "-m", "services.training.cli", "train")  # fmt: skip

PARTNERS = {
    "text": "classification",  # its loss compares all pairs of the global batch
    "generation": "text",  # two networks, two kinds of step
}


def losses(folder: Path) -> dict[str, float]:
    """The losses of the tenth step, as TensorBoard has them."""
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    names = [name for name in events.Tags()["scalars"] if name.startswith("loss/")]
    return {name: next(one.value for one in events.Scalars(name) if one.step == STEPS) for name in names}


@pytest.mark.parametrize("task", PARTNERS)
def test_two_processes_come_to_the_losses_and_weights_of_one(tmp_path: Path, task: str) -> None:
    data = write_drawings(tmp_path / "pictures", colours=("red", "green", "blue"))
    write_tiny_models(tmp_path / "tiny")
    options = ["--preset", "tiny", "--with", str(tmp_path / "tiny" / PARTNERS[task])]
    options += ["--data", str(data), "--steps", str(STEPS), "--batch", "8", "--device", "cpu", "--precision", "fp32"]
    alone = CliRunner().invoke(train, [task, *options, "--out", str(tmp_path / "one")], catch_exceptions=False)
    assert alone.exit_code == 0
    command = [*TORCHRUN, task, *options, "--out", str(tmp_path / "two")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "2 process(es)" in result.stdout and result.stdout.count("wrote ") == 1
    one, two = (losses(tmp_path / f"{out}.training") for out in ("one", "two"))
    assert len(one) >= 1 and two == pytest.approx(one, rel=1e-4)
    weights = [load_file(tmp_path / out / "model.safetensors") for out in ("one", "two")]
    for name, value in weights[0].items():
        assert torch.allclose(weights[1][name].float(), value.float(), rtol=0, atol=2e-3), name


def test_batch_that_processes_cannot_share_is_refused() -> None:
    assert [Processes(rank=rank, count=2).share_of(8) for rank in (0, 1)] == [slice(0, 4), slice(4, 8)]
    with pytest.raises(ConfigurationError, match="--batch 9: expected a multiple of the 2 processes"):
        Processes(count=2).share_of(9)


def test_processes_that_read_other_data_are_refused() -> None:
    """A picture that one machine lacks would put each on other rows than the rest."""

    class Two(Processes):
        def gathered(self, value: Any) -> list[Any]:
            return [value, "other"]

    Processes().require_equal("one", "data")
    Two(count=2).require_equal("other", "data")
    with pytest.raises(ConfigurationError, match=r"my\.jsonl is not the same in process 1 as in the first"):
        Two(count=2).require_equal("one", "my.jsonl")
