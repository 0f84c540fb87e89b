"""Forward passes on an NVIDIA GPU: static buffers, and one CUDA graph a shape, recorded when the shape is warmed.

All work of the process is on one stream, which `use_device` makes current. One graph runs at a time, so that all share
the memory of what is in between.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from shared.inference.passes import Forward

_WARM_UP_RUNS = 3
"""Before a shape is recorded: cuBLAS and cuDNN take workspaces and choose kernels, which no graph may hold."""

_Shape = tuple[tuple[int, ...], ...]


def use_device(device: torch.device, *, memory_fraction: float) -> None:
    """Makes `device` and a stream of its own current, bounds the memory, and makes fp32 mean fp32.

    More than the fraction of the GPU's memory ends with torch's OutOfMemoryError, also where the GPU has more.
    """
    torch.cuda.set_device(device)
    torch.cuda.set_stream(torch.cuda.Stream(device))  # the default stream cannot be recorded
    torch.cuda.set_per_process_memory_fraction(memory_fraction, device)
    torch.backends.cudnn.allow_tf32 = False  # on by default: convolutions would drop 13 of 23 bits


class CudaPasses:
    """A Forward whose warmed shapes are replayed as graphs where `graphs`; other shapes run operator by operator."""

    def __init__(self, forward: Forward, *, device: torch.device, graphs: bool) -> None:
        self._forward = forward
        self._device = device
        self._graphs = graphs
        self._recorded: dict[_Shape, _RecordedPass] = {}

    @torch.inference_mode()
    def warm(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Records the shape, unless it is recorded already, and runs it."""
        if self._graphs and _shape(inputs) not in self._recorded:
            self._recorded[_shape(inputs)] = _RecordedPass(self._forward, inputs, self._device)
        return self(*inputs)

    @torch.inference_mode()
    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        recorded = self._recorded.get(_shape(inputs))
        if recorded is not None:
            return recorded(inputs)
        outputs = self._forward(*(each.to(self._device) for each in inputs))
        return tuple(each.cpu() for each in outputs)  # waits for the stream


class _RecordedPass:
    """One shape: pinned memory -> the device -> the graph -> pinned memory, all queued before the CPU waits once."""

    _pool: Any = None
    """Of memory, shared by all graphs of the process: each pass's outputs have left before the next begins."""

    def __init__(self, forward: Forward, inputs: tuple[Tensor, ...], device: torch.device) -> None:
        self._sent = [torch.empty_like(each, pin_memory=True) for each in inputs]
        self._inputs = [each.to(device) for each in inputs]
        for _ in range(_WARM_UP_RUNS):
            forward(*self._inputs)
        torch.cuda.current_stream().synchronize()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool=_RecordedPass._pool, stream=torch.cuda.current_stream()):
            self._outputs = forward(*self._inputs)
        _RecordedPass._pool = self._graph.pool()
        self._received = [torch.empty(each.shape, dtype=each.dtype, pin_memory=True) for each in self._outputs]

    def __call__(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        for sent, static, given in zip(self._sent, self._inputs, inputs, strict=True):
            sent.copy_(given)
            static.copy_(sent, non_blocking=True)
        self._graph.replay()
        for received, output in zip(self._received, self._outputs, strict=True):
            received.copy_(output, non_blocking=True)
        torch.cuda.current_stream().synchronize()
        return tuple(received.clone() for received in self._received)  # the next pass writes over these buffers


def _shape(inputs: tuple[Tensor, ...]) -> _Shape:
    return tuple(tuple(each.shape) for each in inputs)
