"""Weights fit their model exactly, or the tensor that does not is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from services.training.tiny import write_tiny_models
from shared.errors import ModelDirectoryError
from shared.inference.model_directory import ModelDirectory
from shared.inference.weights import load_weights, write_weights


@pytest.fixture
def directory(tmp_path: Path) -> ModelDirectory:
    """A model directory whose weights file holds a linear layer from 2 to 3."""
    read = ModelDirectory.read(write_tiny_models(tmp_path)["text"], task="text")
    write_weights(nn.Linear(2, 3), read.weights_path)
    return read


def test_weights_come_back_as_float16_rounds_them(tmp_path: Path, directory: ModelDirectory) -> None:
    written = nn.Linear(2, 3)
    write_weights(written, directory.weights_path)
    loaded = nn.Linear(2, 3)
    load_weights(loaded, directory)
    assert torch.equal(loaded.weight, written.weight.half().float())
    assert loaded.weight.dtype == torch.float32


def test_other_shape_is_refused_with_both_shapes(directory: ModelDirectory) -> None:
    with pytest.raises(ModelDirectoryError, match=r"tensor weight: expected shape \[3, 5\], found \[3, 2\]"):
        load_weights(nn.Linear(5, 3), directory)


def test_missing_tensor_is_named(directory: ModelDirectory) -> None:
    with pytest.raises(ModelDirectoryError, match=r"tensor 0\.weight of shape \[3, 2\] is missing"):
        load_weights(nn.Sequential(nn.Linear(2, 3)), directory)


def test_unexpected_tensor_is_named(directory: ModelDirectory) -> None:
    with pytest.raises(ModelDirectoryError, match=r"tensor bias of shape \[3\] is not in the model"):
        load_weights(nn.Linear(2, 3, bias=False), directory)


def test_other_type_is_refused_with_both_types(directory: ModelDirectory) -> None:
    tensors = load_file(directory.weights_path)
    save_file({name: value.double() for name, value in tensors.items()}, directory.weights_path)
    with pytest.raises(ModelDirectoryError, match=r"expected torch\.float16, found torch\.float64"):
        load_weights(nn.Linear(2, 3), directory)


def test_file_of_another_format_is_refused(directory: ModelDirectory) -> None:
    directory.weights_path.write_bytes(b"not safetensors at all")
    with pytest.raises(ModelDirectoryError, match="is not a safetensors file"):
        load_weights(nn.Linear(2, 3), directory)


def test_numbers_too_large_for_float16_are_not_written(tmp_path: Path) -> None:
    module = nn.Linear(2, 3)
    nn.init.constant_(module.weight, 1e6)
    with pytest.raises(ValueError, match="tensor weight has numbers that float16 cannot hold"):
        write_weights(module, tmp_path / "w.safetensors")
