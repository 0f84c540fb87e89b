"""What goes to a peer and comes back: bytes alone, so that none spends time on formats that it can do without."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from tests.benchmarks.reference import inputs

_SEED = struct.Struct("<Q")
_LABEL = struct.Struct("<If")
PNG = b"\x89PNG"
TOLERANCE, PIXEL_STEPS = 1e-4, 1
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
    alike: Callable[[bytes, bytes], bool]
    """Whether what came back, within whatever a protocol puts before it, is that answer but for rounding."""


def _labels(labels: list[tuple[int, float]]) -> bytes:
    return b"".join(_LABEL.pack(*label) for label in labels)


def _point(number: int) -> bytes:
    vector, seed = inputs.vector(number)
    return vector + _SEED.pack(seed)


def _to_point(payload: bytes) -> tuple[bytes, int]:
    return payload[:VECTOR_BYTES], _SEED.unpack_from(payload, VECTOR_BYTES)[0]


def _alike_vectors(found: bytes, wanted: bytes) -> bool:
    if len(found) < len(wanted):
        return False
    ours, theirs = (np.frombuffer(answer[-len(wanted) :], "<f4") for answer in (found, wanted))
    return np.allclose(ours, theirs, atol=TOLERANCE)


def _alike_labels(found: bytes, wanted: bytes) -> bool:
    if len(found) < len(wanted):
        return False
    ours, theirs = (list(_LABEL.iter_unpack(answer[-len(wanted) :])) for answer in (found, wanted))
    return all(
        one[0] == other[0] and abs(one[1] - other[1]) < TOLERANCE for one, other in zip(ours, theirs, strict=True)
    )


def _alike_pictures(found: bytes, wanted: bytes) -> bool:
    start = found.find(PNG)
    if start < 0:
        return False
    ours, theirs = (np.asarray(Image.open(io.BytesIO(file)), np.int16) for file in (found[start:], wanted))
    return bool(np.abs(ours - theirs).max() <= PIXEL_STEPS)


WIRES: Mapping[str, Wire] = {
    "text": Wire(
        payload=lambda number: inputs.text(number).encode(),
        to_input=bytes.decode,
        to_answer=bytes,
        alike=_alike_vectors,
    ),
    "classification": Wire(payload=inputs.jpeg, to_input=bytes, to_answer=_labels, alike=_alike_labels),
    "generation": Wire(payload=_point, to_input=_to_point, to_answer=bytes, alike=_alike_pictures),
}
"""By task: 384 float32 come back for a text, labels with probabilities for a JPEG file, a PNG file for a vector."""
