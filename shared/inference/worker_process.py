"""The model process, `python -m shared.inference.worker_process FD PARENT_PID`: a plain loop, no asyncio, no gRPC.

It holds one predictor, answers one message after another and ends when the socket closes. The front end alone
decides about its life, so it ignores the signals that a terminal or a supervisor sends to all.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from typing import Any

from shared.errors import ConfigurationError
from shared.inference import messages
from shared.inference.allocator import keep_freed_memory
from shared.inference.predictor import CountsPadding, Predictor

_PR_SET_PDEATHSIG = 1
_RAISES_BEFORE_CHECK = 16
"""Batches in a row that raised before the model itself is checked. Halving a batch of 64 for its first item makes 7,
and the halves of two batches may take turns."""
_TRACEBACK_FRAMES = 8


def main() -> None:
    """Serves the socket whose descriptor is the first argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _die_with(parent=int(sys.argv[2]))
    keep_freed_memory()
    with socket.socket(fileno=int(sys.argv[1])) as pipe, suppress(ConnectionError):  # nobody is left to answer
        _serve(pipe)


def _die_with(parent: int) -> None:
    """A parent that is killed takes this process along, even one that hangs in a batch and never reads the socket."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        sys.exit(1)


def _serve(pipe: socket.socket) -> None:
    predictor = _load(pipe)
    raised_in_a_row = 0
    while predictor is not None and (frame := _receive(pipe)) is not None:
        message: Any = None
        try:
            message = messages.decode(frame)
            if isinstance(message, messages.WarmUp):
                predictor.warmup()
                answer = messages.encode(messages.WarmedUp())
            else:
                answer = messages.encode(_predict(predictor, message))
            raised_in_a_row = 0
        except Exception as error:  # noqa: BLE001 - whatever it is, the front end is told
            # The front end halves a batch that raised: the traceback of its guilty item alone is enough.
            answer = _unexpected(error, batch_size=len(message) if isinstance(message, list) else 1)
            raised_in_a_row += 1
        if raised_in_a_row == _RAISES_BEFORE_CHECK:
            # Bad items, or a model that is broken for good, such as after a CUDA fault? A warm-up that raises ends
            # this process with its traceback, and the front end starts another. Before the answer, so that the end is
            # that of a batch that raised, and not of the next one.
            predictor.warmup()
            raised_in_a_row = 0
        pipe.sendall(b"".join(answer))
        del frame, message, answer  # up to 100 MB of pictures, and the next batch may be a while


def _load(pipe: socket.socket) -> Predictor[Any, Any] | None:
    """The predictor that the first message asks for; None when the front end was told why there is none."""
    if (frame := _receive(pipe)) is None:
        return None
    predictor: Predictor[Any, Any] | None = None
    try:
        request: messages.Load = messages.decode(frame)
        sys.path[:] = request.import_path
        # Torch's threads wait for one another some hundred times a pass, and by default spin meanwhile, long: where
        # others use the cores, the one that is waited for does not get to run. OpenMP reads this when it is loaded.
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")
        module, _, function = request.load.partition(":")
        predictor = getattr(importlib.import_module(module), function)(request.directory, request.options)
        limit = _gpu_memory_limit_bytes(request.options.gpu_memory_fraction)
        loaded = messages.Loaded(info=predictor.info, device=predictor.device, gpu_memory_limit_bytes=limit)
        answer = messages.encode(loaded)
    except ConfigurationError as error:  # the operator's to mend: one line, no traceback
        answer = messages.encode(messages.Failed(message=str(error), configuration=type(error)))
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed; model services need: pip install 'diptych[services]'"
        answer = messages.encode(messages.Failed(message=message, configuration=ConfigurationError))
    except Exception as error:  # noqa: BLE001 - whatever it is, the front end is told
        answer = _unexpected(error)
    pipe.sendall(b"".join(answer))
    return predictor


def _predict(predictor: Predictor[Any, Any], batch: Any) -> messages.Done:
    begin = time.monotonic()
    outputs = predictor.predict(batch)
    seconds = time.monotonic() - begin
    if len(outputs) != len(batch):
        raise ValueError(f"predict gave {len(outputs)} outputs for {len(batch)} items")
    padding = predictor.padding if isinstance(predictor, CountsPadding) else None
    gpu_memory_bytes = _gpu_memory_bytes()
    return messages.Done(
        outputs=outputs,
        begin=begin,
        inference_seconds=seconds,
        gpu_memory_bytes=gpu_memory_bytes,
        padding=padding,
    )


def _unexpected(error: Exception, *, batch_size: int = 1) -> list[Any]:
    if batch_size > 1:
        sys.stderr.write(f"a batch of {batch_size} raised {type(error).__name__}: {error}\n")
    else:
        traceback.print_exc(limit=-_TRACEBACK_FRAMES)
    message = f"{type(error).__name__}, see the log of the service"
    return messages.encode(messages.Failed(message=message, out_of_memory=_is_out_of_memory(error)))


def _is_out_of_memory(error: Exception) -> bool:
    """Python's, torch's on a GPU, whose class only a predictor may import, and torch's on the CPU, which has none."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _gpu_memory_bytes() -> int:
    torch = sys.modules.get("torch")  # only a predictor may import it
    if torch is None or not torch.cuda.is_initialized():
        return 0
    return int(torch.cuda.memory_reserved())


def _gpu_memory_limit_bytes(fraction: float) -> int:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0
    return int(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory * fraction)


def _receive(pipe: socket.socket) -> bytearray | None:
    """The next frame without its header; None when the front end closed the socket."""
    header = _receive_exactly(pipe, messages.HEADER.size)
    return None if header is None else _receive_exactly(pipe, messages.HEADER.unpack(header)[0])


def _receive_exactly(pipe: socket.socket, size: int) -> bytearray | None:
    frame = bytearray(size)
    view = memoryview(frame)
    while view:
        count = pipe.recv_into(view)
        if not count:
            return None
        view = view[count:]
    return frame


if __name__ == "__main__":
    main()
