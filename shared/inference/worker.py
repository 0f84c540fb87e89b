"""The front end's side of the model process: starts it, talks to it, and replaces it when it dies or hangs.

It knows no model: what the process loads is a dotted name. Batches are answered in the order in which they are given.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from shared.codes import Reason
from shared.errors import ConfigurationError, UnavailableError
from shared.inference import messages
from shared.inference.batch_run import BatchResult, BatchTooLargeError
from shared.inference.halving import NotBegunError
from shared.inference.model_process import LostError, ModelProcess, NeverReadError
from shared.inference.predictor import ModelInfo, RuntimeOptions
from shared.metrics import ProcessMemory, WorkerMetrics

In = TypeVar("In")
Out = TypeVar("Out")

_logger = logging.getLogger(__name__)

_START_TIMEOUT_FACTOR = 10.0
"""Loading, and warming every bucket, may each take this many times as long as a batch may."""
_FAILURES_IN_A_ROW = 2


class PredictError(Exception):
    """`predict` raised on a whole batch; the process lives on."""


class ModelWorker(Generic[In, Out]):
    """A model in a process of its own; `load` is the dotted name of its LoadPredictor, `package.module:function`."""

    def __init__(
        self,
        load: str,
        directory: Path,
        options: RuntimeOptions,
        *,
        hang_timeout_seconds: float,
        metrics: WorkerMetrics,
        memory: ProcessMemory,
        on_ready: Callable[[bool], None],
    ) -> None:
        self._load = messages.Load(load=load, directory=directory, options=options, import_path=tuple(sys.path))
        self._hang_timeout_seconds = hang_timeout_seconds
        self._metrics = metrics
        self._memory = memory
        self._on_ready = on_ready
        self._process: ModelProcess | None = None
        self._settled = asyncio.Event()
        """Clear while the process starts; set when it serves, and also when it never will."""
        self._unavailable = "the model is not loaded"
        self._given_up = asyncio.Event()
        self._failures = 0
        self._unproven = False
        """Batches were tried, and none has been good since: a warm-up alone makes good for no failure."""
        self._info: ModelInfo | None = None
        self._supervisor: asyncio.Task[None] | None = None

    async def start(self) -> ModelInfo:
        """Spawns the process, which loads and verifies the model.

        Raises:
            ModelDirectoryError: as the process found it.
            ConfigurationError: it cannot be loaded for another reason.
        """
        return await self._spawn()

    async def warmup(self) -> None:
        """Runs every bucket once; from then on the process serves, and is replaced when it fails.

        Raises:
            ConfigurationError: the model is loaded but does not run.
        """
        try:
            await self._warm()
        except BaseException as error:  # a cancelled warm-up is the service that stops
            self._abandon(str(error) or "the service is stopping")
            raise
        self._supervisor = asyncio.create_task(self._supervise(), name="model-supervisor")

    async def run(self, batch: Sequence[In]) -> BatchResult[Out]:
        """The answers to a batch. An empty batch only waits until the model takes batches.

        Raises:
            UnavailableError: the process was lost in this batch, or is lost for good.
            NotBegunError: there is no process at present, or it was lost before it came to this batch.
            BatchTooLargeError: the process has no memory for it.
            PredictError: `predict` raised for another reason.
        """
        if batch and not self._settled.is_set():  # whoever waits must not take that for the batch's own time
            raise NotBegunError("the model process is starting")
        await self._settled.wait()
        process = self._process
        if process is None:
            raise UnavailableError(self._unavailable, reason=Reason.NOT_SERVING)
        if not batch:
            return BatchResult(outputs=(), inference_seconds=0.0)
        try:
            answer = await process.ask(list(batch), self._hang_timeout_seconds)
        except NeverReadError as lost:
            raise NotBegunError(str(lost)) from None
        except LostError as lost:
            self._unproven = True
            raise UnavailableError(str(lost), reason=Reason.MODEL_LOST) from None
        finally:
            if process.lost is not None:
                self._lose(process, process.lost)
        if isinstance(answer, messages.Failed):
            self._unproven = True
            raise (BatchTooLargeError if answer.out_of_memory else PredictError)(answer.message)
        self._failures = 0
        self._unproven = False
        self._metrics.gpu_memory.set(answer.gpu_memory_bytes)
        return BatchResult(
            outputs=answer.outputs,
            inference_seconds=answer.inference_seconds,
            begin=answer.begin,
            padding=answer.padding,
        )

    async def failed(self) -> str:
        """Completes with a one-line reason when the process failed twice in a row.

        Between two failures is a good batch or, where the first met no batch, a good warm-up.
        """
        await self._given_up.wait()
        return self._unavailable

    async def close(self) -> None:
        """Ends the process."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            with suppress(asyncio.CancelledError):
                await self._supervisor
        process, self._process = self._process, None
        self._unavailable = "the service has stopped"
        self._settled.set()
        self._memory.pids.pop("model", None)
        if process is not None:
            await process.close()

    async def _spawn(self) -> ModelInfo:
        process = self._process = await ModelProcess.spawn()
        self._memory.pids["model"] = process.pid
        loaded = await self._ask_in_start(process, self._load)
        info = cast(ModelInfo, loaded.info)
        if self._info not in (None, info):  # what callers and gateways were told of this service would be wrong
            process.kill("the model directory has another model now")
            raise ConfigurationError(f"{self._load.directory}: has another model than at the start; start again")
        self._info = info
        self._metrics.set_model(info, loaded.device)
        self._metrics.gpu_memory_limit.set(loaded.gpu_memory_limit_bytes)
        return info

    async def _warm(self) -> None:
        if self._process is None:
            raise RuntimeError("warmup comes after start")
        await self._ask_in_start(self._process, messages.WarmUp())
        if not self._unproven:  # else a process that dies in every batch would be started again for ever
            self._failures = 0
        self._settled.set()
        self._on_ready(True)

    async def _ask_in_start(self, process: ModelProcess, message: object) -> Any:
        """The answer, or a ConfigurationError and the end of a process that will not serve."""
        step = "loading" if message is self._load else "warm-up"
        try:
            answer = await process.ask(message, _START_TIMEOUT_FACTOR * self._hang_timeout_seconds)
        except LostError as lost:
            raise ConfigurationError(f"{self._load.load}, {step}: {lost}") from None
        if isinstance(answer, messages.Failed):
            process.kill(answer.message)
            if answer.configuration is not None:
                raise answer.configuration(answer.message)
            raise ConfigurationError(f"{self._load.load}, {step}: {answer.message}")
        return answer

    async def _supervise(self) -> None:
        """Replaces the process whenever it ends, until it fails twice in a row."""
        while self._process is not None:
            reason = await self._process.ended()
            self._lose(self._process, reason)
            while not self._settled.is_set():
                if self._failures >= _FAILURES_IN_A_ROW:
                    self._give_up(reason)
                    return
                self._metrics.restarts.inc()
                try:
                    await self._spawn()
                    await self._warm()
                except (ConfigurationError, OSError) as error:
                    reason = str(error)
                    self._failures += 1

    def _lose(self, process: ModelProcess, reason: str) -> None:
        """Notes, once, that the process that served is lost."""
        if self._process is process and self._settled.is_set():
            _logger.error("%s; starting another", reason)
            self._settled.clear()
            self._failures += 1
            self._memory.pids.pop("model", None)
            self._on_ready(False)

    def _give_up(self, reason: str) -> None:
        _logger.critical("the model process failed %d times in a row: %s", self._failures, reason)
        self._abandon(reason)
        self._given_up.set()

    def _abandon(self, reason: str) -> None:
        """There is no model any more: whoever waits for it is told so, and nobody waits for ever."""
        process, self._process = self._process, None
        if process is not None:
            process.kill(reason)
        self._memory.pids.pop("model", None)
        self._unavailable = reason
        self._settled.set()
