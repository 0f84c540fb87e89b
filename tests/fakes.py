"""Small real things that stand in for models: their answers can be checked by eye, and they run in a real process.

A fake predictor answers a text with its length. Some texts are orders: `sleep 0.2`, `fail`, `raise`, `hang`, `die`,
`break` (from then on everything raises, as after a CUDA fault); `warmups` is answered with their number. `memory 2` has
no memory for a batch of more than 2, and `allocate 2` asks torch for too much then.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from shared.codes import Reason
from shared.errors import ModelDirectoryError, UnavailableError
from shared.inference.batch_run import BatchResult, BatchTooLargeError
from shared.inference.predictor import Failure, ModelInfo, RuntimeOptions

FAKE_INFO = ModelInfo(
    name="length", version="1", digest="0" * 64, space="fake-space", bucket_sizes=(1, 2, 4, 8), languages=("en", "de")
)


class LengthPredictor:
    """Answers a text with its length."""

    info = FAKE_INFO
    device = "cpu fake"
    broken = False
    warmups = 0

    def warmup(self) -> None:
        self.warmups += 1
        for size in self.info.bucket_sizes:
            self.predict(["x"] * size)

    def predict(self, batch: Sequence[str], /) -> Sequence[int | Failure]:
        for text in batch:
            command, _, most = text.partition(" ")
            if command in ("memory", "allocate") and len(batch) > int(most):
                raise MemoryError if command == "memory" else _torch_error()
        return [self._answer(text) for text in batch]

    def _answer(self, text: str) -> int | Failure:
        command, _, argument = text.partition(" ")
        self.broken |= command == "break"
        if self.broken:
            raise RuntimeError("the device is lost")
        if command == "sleep":
            time.sleep(float(argument))
        elif command == "fail":
            return Failure(reason=Reason.FIELD_INVALID, message="fail is not a text")
        elif command == "raise":
            raise ArithmeticError("raise was asked for")
        elif command == "hang":
            time.sleep(3600)
        elif command == "die":
            os._exit(3)
        elif command == "warmups":
            return self.warmups
        return len(text)


def _torch_error() -> Exception:
    """What torch raises when it has no memory."""
    try:
        importlib.import_module("torch").empty(1 << 60)
    except RuntimeError as error:
        return error
    raise AssertionError("a machine with 4 EiB of memory")


def load(directory: Path, options: RuntimeOptions) -> LengthPredictor:
    """A LoadPredictor; nothing is read."""
    return LengthPredictor()


def load_without_model(directory: Path, options: RuntimeOptions) -> LengthPredictor:
    """A LoadPredictor that finds no model."""
    raise ModelDirectoryError(f"{directory / 'model.toml'}: missing")


def load_once(directory: Path, options: RuntimeOptions) -> LengthPredictor:
    """A LoadPredictor that finds the model only the first time."""
    mark = directory / "loaded"
    if mark.exists():
        raise ModelDirectoryError(f"{directory / 'model.toml'}: gone")
    mark.touch()
    return LengthPredictor()


def load_as_named(directory: Path, options: RuntimeOptions) -> LengthPredictor:
    """A LoadPredictor whose model is what the directory's file `name` says."""
    predictor = LengthPredictor()
    predictor.info = dataclasses.replace(FAKE_INFO, name=(directory / "name").read_text())
    return predictor


def load_and_raise(directory: Path, options: RuntimeOptions) -> LengthPredictor:
    """A LoadPredictor with a defect."""
    raise ZeroDivisionError("division by zero")


def load_without_library(directory: Path, options: RuntimeOptions) -> LengthPredictor:
    """Imports what is not installed."""
    importlib.import_module("library_of_nobody")
    return load(directory, options)


def load_and_die(directory: Path, options: RuntimeOptions) -> LengthPredictor:
    """A LoadPredictor that the kernel kills, as for want of memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    return LengthPredictor()


class GatedModel:
    """The `run` of a DynamicBatcher without a process: same answers, and it notes its batches.

    While `gate` is clear, batches wait in the model; it has memory for `most` items.
    """

    most = 1000

    def __init__(self, *, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._turn = asyncio.Lock()

    async def run(self, batch: Sequence[str]) -> BatchResult[int]:
        async with self._turn:
            return await self._run(batch)

    async def _run(self, batch: Sequence[str]) -> BatchResult[int]:
        self.batches.append(list(batch))
        await self.gate.wait()
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if len(batch) > self.most:
            raise BatchTooLargeError("MemoryError")
        if "lose" in batch:
            raise UnavailableError("the model process ended with signal 9")
        return BatchResult(outputs=LengthPredictor().predict(batch), inference_seconds=self.seconds)
