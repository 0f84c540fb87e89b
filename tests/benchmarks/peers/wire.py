"""What goes to a peer and comes back: bytes alone, so that none spends time on formats that it can do without."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.reference import inputs

_SEED = struct.Struct("<Q")
_LABEL = struct.Struct("<If")
VECTOR_BYTES = 4 * inputs.VECTOR


@dataclass(frozen=True, kw_only=True)
class Wire:
    """How the inputs and outputs of one module become bytes."""

    payload: Callable[[int], bytes]
    """The request of a number."""
    to_input: Callable[[bytes], Any]
    """A request as the module wants it."""
    to_answer: Callable[[Any], bytes]
    """The module's output."""


def _labels(labels: list[tuple[int, float]]) -> bytes:
    return b"".join(_LABEL.pack(*label) for label in labels)


def _point(number: int) -> bytes:
    vector, seed = inputs.vector(number)
    return vector + _SEED.pack(seed)


def _to_point(payload: bytes) -> tuple[bytes, int]:
    return payload[:VECTOR_BYTES], _SEED.unpack_from(payload, VECTOR_BYTES)[0]


WIRES: Mapping[str, Wire] = {
    "text": Wire(payload=lambda number: inputs.text(number).encode(), to_input=bytes.decode, to_answer=bytes),
    "classification": Wire(payload=inputs.jpeg, to_input=bytes, to_answer=_labels),
    "generation": Wire(payload=_point, to_input=_to_point, to_answer=bytes),
}
"""By task: 384 float32 come back for a text, labels with probabilities for a JPEG file, a PNG file for a vector."""
