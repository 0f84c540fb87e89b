"""Checkpoints as safetensors plus JSON, never pickle: modules, optimiser moments and how far training is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from shared.errors import ConfigurationError

TENSORS = "checkpoint.safetensors"
STATE = "checkpoint.json"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is; `seconds` counts training time over all its sessions."""

    step: int = 0
    seconds: float = 0.0


def save_checkpoint(
    folder: Path,
    modules: Mapping[str, nn.Module],
    optimisers: Mapping[str, Optimizer],
    progress: Progress,
    *,
    space: str = "",
) -> None:
    """Writes all tensors, then how far they are; a crash between leaves newer tensors under the older step.

    `space` is the joint space that the modules are trained for, empty where they make their own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    for name, optimiser in optimisers.items():
        tensors |= {f"{name}.{key}": value for key, value in _moments(optimiser).items()}
    part, state = folder / f"{TENSORS}.part", folder / f"{STATE}.part"
    save_file({key: value.detach().contiguous().clone() for key, value in tensors.items()}, part)
    os.replace(part, folder / TENSORS)
    state.write_text(json.dumps({**asdict(progress), "space": space}) + "\n", "utf-8")
    os.replace(state, folder / STATE)


def load_checkpoint(
    folder: Path, modules: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer], *, space: str = ""
) -> Progress:
    """Restores what `save_checkpoint` wrote; a fresh `Progress` where there is none.

    Raises ConfigurationError when it is of another joint space: its weights would be sold as what they are not.
    """
    if not (folder / STATE).exists():
        return Progress()
    state = json.loads((folder / STATE).read_text("utf-8"))
    if (found := state.pop("space", "")) != space:
        raise ConfigurationError(f"{folder}: is of space {found!r}, the encoders of {space!r}; start with --restart")
    tensors = load_file(folder / TENSORS)
    for name, module in modules.items():
        module.load_state_dict(_part(tensors, name))
    for name, optimiser in optimisers.items():
        _restore_moments(optimiser, _part(tensors, name))
    return Progress(**state)


def _part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


def _moments(optimiser: Optimizer) -> dict[str, Tensor]:
    state = optimiser.state_dict()["state"]
    return {f"{index}.{key}": torch.as_tensor(value) for index, item in state.items() for key, value in item.items()}


def _restore_moments(optimiser: Optimizer, moments: Mapping[str, Tensor]) -> None:
    whole = optimiser.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in moments.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    optimiser.load_state_dict({"state": state, "param_groups": whole["param_groups"]})
