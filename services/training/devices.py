"""Batches to the device that trains."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

Batch = TypeVar("Batch")


def on_device(batch: Batch, device: torch.device) -> Batch:
    """A dataclass with all its tensors on `device`."""
    values: dict[str, Any] = {field.name: getattr(batch, field.name) for field in fields(batch)}  # type: ignore[arg-type]
    moved = {name: value.to(device) for name, value in values.items() if isinstance(value, Tensor)}
    return replace(batch, **moved)  # type: ignore[type-var]
