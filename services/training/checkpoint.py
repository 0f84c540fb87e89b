"""Checkpoints as safetensors plus JSON, never pickle: weights, moments, random states and how far training is.

The two files are one snapshot, whenever the process dies. The tensors go into a file of a new name; then
checkpoint.json, which names it, is replaced in one step; then the older tensors are removed.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from shared.errors import ConfigurationError

STATE = "checkpoint.json"
TENSORS = "checkpoint-*.safetensors"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is; `seconds` counts training time over all its sessions."""

    step: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A snapshot as it was read."""

    progress: Progress = field(default_factory=Progress)
    more: Mapping[str, Any] = field(default_factory=dict)
    """What JSON held beside."""
    tensors: Mapping[str, Tensor] = field(default_factory=dict)

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors saved under `name`."""
        start = f"{name}."
        return {key.removeprefix(start): value for key, value in self.tensors.items() if key.startswith(start)}

    def restore(self, modules: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer], where: str) -> None:
        """Fills modules and optimisers. Raises ConfigurationError where they are of another shape."""
        try:
            for name, module in modules.items():
                module.load_state_dict(self.part(name))
            for name, optimiser in optimisers.items():
                _restore_moments(optimiser, self.part(name))
        except (RuntimeError, KeyError, IndexError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise ConfigurationError(f"{where}: is of another model ({reason}); start with --restart") from None


def save_checkpoint(
    folder: Path,
    modules: Mapping[str, nn.Module],
    optimisers: Mapping[str, Optimizer],
    progress: Progress,
    *,
    space: str = "",
    more: Mapping[str, Any] | None = None,
    best: Mapping[str, Tensor] | None = None,
) -> None:
    """Writes one snapshot and removes the one before.

    Args:
        space: the joint space that the modules are trained for, empty where they make their own.
        more: what else JSON shall hold.
        best: further tensors, read back as `part("best")`.

    Raises ValueError where a module has the name of an optimiser: neither could be read back.
    """
    if shared := modules.keys() & optimisers.keys():
        raise ValueError(f"{sorted(shared)} name both modules and optimisers")
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    for name, optimiser in optimisers.items():
        tensors |= {f"{name}.{key}": value for key, value in _moments(optimiser).items()}
    tensors |= {f"best.{key}": value for key, value in (best or {}).items()}
    # Never the name of the snapshot that is there: a restarted run comes to the same steps again.
    file = folder / TENSORS.replace("*", f"{progress.step}-{secrets.token_hex(4)}")
    save_file({key: value.detach().contiguous().clone() for key, value in tensors.items()}, file)
    _flush(file)
    state = {**asdict(progress), "space": space, "tensors": file.name, **(more or {})}
    part = folder / f"{STATE}.part"
    part.write_text(json.dumps(state) + "\n", "utf-8")
    _flush(part)
    os.replace(part, folder / STATE)
    _flush(folder)
    for other in folder.glob(TENSORS):
        if other != file:
            other.unlink(missing_ok=True)


def read_checkpoint(folder: Path, *, space: str = "") -> Checkpoint:
    """Reads what `save_checkpoint` wrote; one at step 0 without tensors where there is none.

    Raises ConfigurationError when it is damaged, or of another joint space: its weights would be sold as what they are
    not.
    """
    file = folder / STATE
    if not file.exists():
        return Checkpoint()
    try:
        state = json.loads(file.read_text("utf-8"))
        progress = Progress(step=state.pop("step"), seconds=state.pop("seconds"))
        tensors = load((folder / state.pop("tensors")).read_bytes())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise ConfigurationError(f"{file}: cannot be read ({error!r}); start with --restart") from None
    if (found := state.pop("space", "")) != space:
        raise ConfigurationError(f"{folder}: is of space {found!r}, the encoders of {space!r}; start with --restart")
    return Checkpoint(progress=progress, more=state, tensors=tensors)


def space_of_checkpoint(folder: Path) -> str | None:
    """The space that a checkpoint names, None where there is no checkpoint that can be read."""
    try:
        space: str = json.loads((folder / STATE).read_text("utf-8")).get("space", "")
    except (OSError, ValueError, AttributeError):
        return None
    return space


def load_checkpoint(
    folder: Path, modules: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer], *, space: str = ""
) -> Progress:
    """Restores modules and optimisers from `folder`; a fresh `Progress` where there is nothing.

    Raises ConfigurationError as `read_checkpoint` and `Checkpoint.restore` do.
    """
    checkpoint = read_checkpoint(folder, space=space)
    if checkpoint.tensors:
        checkpoint.restore(modules, optimisers, str(folder))
    return checkpoint.progress


def _flush(path: Path) -> None:
    """Makes a file, or the names in a folder, outlive a crash of the machine."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _moments(optimiser: Optimizer) -> dict[str, Tensor]:
    return {
        f"{index}.{key}": torch.as_tensor(value)
        for index, item in optimiser.state_dict()["state"].items()
        for key, value in item.items()
        if value is not None  # SGD without momentum
    }


def _restore_moments(optimiser: Optimizer, moments: Mapping[str, Tensor]) -> None:
    """Moments are laid out in memory as their parameters are: fused kernels walk both as one stretch of numbers."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in sorted(moments.items(), key=lambda item: int(item[0].split(".", 1)[0])):
        index, key = name.split(".", 1)
        parameter = parameters[int(index)]
        if value.shape == parameter.shape and value.ndim:
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        state.setdefault(int(index), {})[key] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
