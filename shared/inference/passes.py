"""Forward passes of a network, in a few shapes; inputs and outputs are on the CPU, whatever device runs them.

What a batch needs is cut into passes here. Rows of a pass never see one another, and yet the number of rows decides
which kernels run, and so the last bits of each. Where a result must not depend on its batch-mates, every pass has
`microbatch` rows, or as many as gave the same bits when this machine was asked: `exact_rows`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

Forward = Callable[..., tuple[Tensor, ...]]
"""Tensors on the device to tensors on the device, the first dimension of each its rows. Whatever is done to a number on
the device, precision included, is in here."""

MOST_PADDING = 1 / 4
"""Of a pass. Two passes without padding take longer than one with so little, of the embedded models on a CPU."""


class Passes(Protocol):
    """One Forward on its device."""

    def warm(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Runs a shape for the first time, so that no call meets it cold."""

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """From CPU to CPU; the answer is the caller's to keep."""


class EagerPasses:
    """On the CPU there is nothing to move and nothing to record."""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward

    @torch.inference_mode()
    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self._forward(*inputs)

    warm = __call__


def chunks(count: int, sizes: Sequence[int], *, most_padding: float = MOST_PADDING) -> list[tuple[slice, int]]:
    """Cuts `count` rows into passes of the rising `sizes`: the rows that each takes, and its size, which may be more.

    most_padding: of the places of a pass; what would need more goes into several smaller ones.
    """
    found: list[tuple[slice, int]] = []
    first = 0
    while (rest := count - first) > 0:
        fitting = next((size for size in sizes if size >= rest), sizes[-1])
        full = max((size for size in sizes if size <= rest), default=fitting)
        size = fitting if fitting - rest <= most_padding * fitting else full
        found.append((slice(first, min(first + size, count)), size))
        first += size
    return found


def exact_rows(
    passes: Passes, draw: Callable[[int], Sequence[Tensor]], *, microbatch: int, sizes: Sequence[int]
) -> tuple[int, ...]:
    """`microbatch`, and those of `sizes` whose passes give the bits that its passes give; warms them all.

    Kernels are chosen by shape, never by value, so that what holds for rows of random numbers holds for all. To be
    asked again for each other shape of a row, and by each process: it hangs on the kind of CPU or GPU, the precision
    and the number of threads.

    draw: makes the inputs of so many rows, which all differ.
    """
    rows = microbatch * math.ceil(sizes[-1] / microbatch)
    inputs = draw(rows)

    def run(first: int, count: int) -> tuple[Tensor, ...]:
        return passes.warm(*(each[first : first + count] for each in inputs))

    alone = [run(first, microbatch) for first in range(0, rows, microbatch)]
    expected = [torch.cat(parts) for parts in zip(*alone, strict=True)]

    def agrees(size: int) -> bool:
        return all(
            torch.equal(found, whole[first : first + size])
            for first in {0, rows - size}  # in the first and in the last places
            for found, whole in zip(run(first, size), expected, strict=True)
        )

    return tuple(sorted({microbatch, *(size for size in sizes if size != microbatch and agrees(size))}))
