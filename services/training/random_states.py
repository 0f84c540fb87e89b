"""Takes and restores every random state of a process, so that a resumed run draws what the uninterrupted one drew."""

from __future__ import annotations

import base64
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

State = dict[str, Any]
"""What JSON holds: the states of one process."""


def take_states(generators: Mapping[str, random.Random]) -> State:
    """The states of torch (CPU and GPU), numpy and Python, and of a trainer's own `generators`."""
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "torch": _text(torch.get_rng_state()),
        "cuda": _text(torch.cuda.get_rng_state()) if torch.cuda.is_initialized() else None,
        "numpy": [name, np.asarray(keys).tolist(), position, has_gauss, gauss],
        "python": random.getstate(),
        "own": {key: generator.getstate() for key, generator in generators.items()},
    }


def restore_states(states: Mapping[str, Any], generators: Mapping[str, random.Random]) -> None:
    """Puts back what `take_states` took; a generator that it did not know keeps its state."""
    torch.set_rng_state(_tensor(states["torch"]))
    if states["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(_tensor(states["cuda"]))
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    random.setstate(_python(states["python"]))
    for key, generator in generators.items():
        if key in states["own"]:
            generator.setstate(_python(states["own"][key]))


def _python(state: Any) -> tuple[Any, ...]:
    version, internal, gauss = state
    return version, tuple(internal), gauss


def _text(state: torch.Tensor) -> str:
    return base64.b64encode(state.numpy().tobytes()).decode()


def _tensor(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)
