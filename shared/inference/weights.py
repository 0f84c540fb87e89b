"""Moves weights between a module and a safetensors file, and says exactly what does not fit."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from shared.errors import ModelDirectoryError
from shared.inference.model_directory import ModelDirectory, sha256_of

STORED = torch.float16


def load_weights(module: nn.Module, directory: ModelDirectory) -> None:
    """Fills `module` from the directory's weights file.

    Raises ModelDirectoryError, in one line naming the tensor: missing, unexpected, or of another shape or type.
    """
    file = directory.weights_path
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise ModelDirectoryError(f"{file}: is not a safetensors file: {error}") from None
    expected = module.state_dict()
    for name, wanted in expected.items():
        if name not in tensors:
            raise ModelDirectoryError(f"{file}: tensor {name} of shape {list(wanted.shape)} is missing")
        found = tensors[name]
        if found.shape != wanted.shape:
            shapes = f"expected shape {list(wanted.shape)}, found {list(found.shape)}"
            raise ModelDirectoryError(f"{file}: tensor {name}: {shapes}")
        if found.dtype != _stored_type(wanted):
            raise ModelDirectoryError(f"{file}: tensor {name}: expected {_stored_type(wanted)}, found {found.dtype}")
    if unexpected := sorted(tensors.keys() - expected.keys()):
        name = unexpected[0]
        raise ModelDirectoryError(f"{file}: tensor {name} of shape {list(tensors[name].shape)} is not in the model")
    module.load_state_dict(tensors)


def write_weights(module: nn.Module, file: Path) -> str:
    """Writes `module` as float16 and returns the file's SHA-256.

    Raises ValueError when a number is not finite in float16.
    """
    tensors = {}
    for name, value in module.state_dict().items():
        stored = value.detach().to("cpu", _stored_type(value)).contiguous()
        if not torch.isfinite(stored).all():
            raise ValueError(f"tensor {name} has numbers that float16 cannot hold")
        tensors[name] = stored
    save_file(tensors, file)
    file.chmod(0o644)  # safetensors lets only the owner read it; another user may serve it
    return sha256_of(file)


def _stored_type(tensor: Tensor) -> torch.dtype:
    return STORED if tensor.is_floating_point() else tensor.dtype
