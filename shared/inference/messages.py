"""What a service's front end and its model process say to each other, and how it is framed.

Frames are a length and a pickle of protocol 5. Pickle runs code of whoever writes it: here both ends are two
processes of one user on a private socket pair, which nobody else can open. Nothing from the network is unpickled:
the front end builds these objects itself.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.inference.predictor import ModelInfo, Padding, RuntimeOptions

HEADER = struct.Struct("<Q")
"""Length of the pickle that follows, in bytes."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """First message to the child: what to load. Answered by Loaded or Failed."""

    load: str
    """`package.module:function` of type LoadPredictor."""
    directory: Path
    options: RuntimeOptions
    import_path: tuple[str, ...]
    """The front end's `sys.path`: the child imports what its parent could."""


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """To the child: run each bucket once. Answered by WarmedUp or Failed."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The predictor is there, its weights verified."""

    info: ModelInfo
    device: str
    gpu_memory_limit_bytes: int = 0
    """What the process may hold; 0 on CPU."""


@dataclass(frozen=True, kw_only=True)
class WarmedUp:
    """Every bucket ran."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """The answers to a batch, which is sent as a plain list, and what it took."""

    outputs: Sequence[Any]
    begin: float
    """When the predictor began, by `time.monotonic`, which is one clock for all processes of a machine."""
    inference_seconds: float
    gpu_memory_bytes: int
    padding: Padding | None
    """None where the batch was simply padded to its bucket."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The last message could not be followed."""

    message: str
    """One line."""
    configuration: type[Exception] | None = None
    """The class of ConfigurationError that was raised, None for an unexpected exception."""
    out_of_memory: bool = False
    """A smaller batch may do."""


class _Chunks(io.RawIOBase):
    """A file that keeps what is written; the pickler hands it large bytes objects as they are, not copied."""

    def __init__(self) -> None:
        self.chunks: list[Any] = []
        self.size = 0

    def write(self, chunk: Any, /) -> int:
        self.chunks.append(chunk)
        self.size += len(chunk)
        return len(chunk)


def encode(message: object) -> list[Any]:
    """A frame, as buffers to be written one after another."""
    file = _Chunks()
    pickle.Pickler(file, protocol=5).dump(message)
    return [HEADER.pack(file.size), *file.chunks]


def decode(frame: bytes | bytearray | memoryview) -> Any:
    """The message of a frame without its header."""
    return pickle.loads(frame)  # noqa: S301 - from our own other process, see above
