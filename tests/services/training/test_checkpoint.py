"""A checkpoint is one snapshot whenever the process dies, and restores exactly what was saved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from services.training.checkpoint import STATE, TENSORS, Progress, load_checkpoint, read_checkpoint, save_checkpoint
from shared.errors import ConfigurationError


def linear(value: float) -> nn.Linear:
    module = nn.Linear(2, 2)
    nn.init.constant_(module.weight, value)
    return module


def save(folder: Path, value: float, step: int) -> None:
    save_checkpoint(folder, {"module": linear(value)}, {}, Progress(step=step, seconds=1.0))


def weight(folder: Path) -> tuple[int, float]:
    """The step and the weights that a run would resume with."""
    module = linear(0)
    progress = load_checkpoint(folder, {"module": module}, {})
    return progress.step, module.weight[0, 0].item()


def test_snapshot_is_replaced_as_a_whole_and_leaves_one_pair_of_files(tmp_path: Path) -> None:
    save(tmp_path, 1.0, step=1)
    save(tmp_path, 2.0, step=2)
    assert weight(tmp_path) == (2, 2.0)
    assert len(list(tmp_path.glob(TENSORS))) == 1 and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("died", ["while it wrote tensors", "before it replaced the state", "before it tidied up"])
def test_process_that_dies_while_it_saves_leaves_a_whole_snapshot(tmp_path: Path, died: str) -> None:
    save(tmp_path, 1.0, step=7)
    state = (tmp_path / STATE).read_bytes()
    tensors = next(tmp_path.glob(TENSORS)).read_bytes()
    old = next(tmp_path.glob(TENSORS)).name
    save(tmp_path, 2.0, step=7)  # the same step: a restarted run comes by it again
    (tmp_path / old).write_bytes(tensors)
    if died != "before it tidied up":
        (tmp_path / f"{STATE}.part").write_bytes((tmp_path / STATE).read_bytes()[:20])
        (tmp_path / STATE).write_bytes(state)
    if died == "while it wrote tensors":
        new = next(file for file in tmp_path.glob(TENSORS) if file.name != old)
        new.write_bytes(new.read_bytes()[:50])
    assert weight(tmp_path) == ((7, 2.0) if died == "before it tidied up" else (7, 1.0))
    save(tmp_path, 3.0, step=8)
    assert weight(tmp_path) == (8, 3.0) and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_moments_have_the_layout_of_their_weights_again(tmp_path: Path, kind: str) -> None:
    """Fused AdamW walks weights and moments as one stretch of numbers: another order would mix them up."""

    def make() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        module = nn.Conv2d(4, 8, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if kind == "sgd":
            return module, torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
        return module, torch.optim.AdamW(module.parameters(), fused=True)

    def step(module: nn.Module, optimiser: torch.optim.Optimizer, seed: int) -> None:
        pictures = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(seed))
        optimiser.zero_grad()
        module(pictures.contiguous(memory_format=torch.channels_last)).square().mean().backward()
        optimiser.step()

    (module, optimiser), (resumed, its_optimiser) = make(), make()
    step(module, optimiser, 1)
    save_checkpoint(tmp_path, {"m": module}, {"o": optimiser}, Progress(step=1, seconds=0))
    load_checkpoint(tmp_path, {"m": resumed}, {"o": its_optimiser})
    for each, its in ((module, optimiser), (resumed, its_optimiser)):
        step(each, its, 2)
    assert torch.equal(module.get_parameter("weight"), resumed.get_parameter("weight"))


def test_damaged_checkpoint_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    save(tmp_path, 1.0, step=1)
    file = next(tmp_path.glob(TENSORS))
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(ConfigurationError, match=r"checkpoint\.json: cannot be read .*; start with --restart"):
        read_checkpoint(tmp_path)


def test_checkpoint_of_another_model_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    save(tmp_path, 1.0, step=1)
    with pytest.raises(ConfigurationError, match=r"is of another model \(.*size mismatch.*\); start with --restart"):
        load_checkpoint(tmp_path, {"module": nn.Linear(3, 3)}, {})


def test_state_is_json_that_names_its_tensors(tmp_path: Path) -> None:
    save(tmp_path, 1.0, step=3)
    state = json.loads((tmp_path / STATE).read_text("utf-8"))
    assert state["step"] == 3 and (tmp_path / state["tensors"]).is_file()


def test_a_module_with_the_name_of_an_optimiser_is_refused(tmp_path: Path) -> None:
    module = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="'painter'"):
        save_checkpoint(tmp_path, {"painter": module}, {"painter": torch.optim.SGD(module.parameters())}, Progress())
