"""What a service keeps around its worker, and whether a process lives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from shared.inference.predictor import Failure, RuntimeOptions
from shared.inference.worker import ModelWorker
from shared.metrics import ProcessMemory, WorkerMetrics


class Front:
    """What a service keeps around its worker."""

    def __init__(self, load: str, directory: Path, hang_timeout_seconds: float) -> None:
        self.registry = CollectorRegistry()
        self.memory = ProcessMemory(self.registry)
        self.readiness: list[bool] = []
        self.worker: ModelWorker[object, int] = ModelWorker(
            f"tests.fakes:{load}",
            directory,
            RuntimeOptions(),
            hang_timeout_seconds=hang_timeout_seconds,
            metrics=WorkerMetrics(self.registry),
            memory=self.memory,
            on_ready=self.readiness.append,
        )

    @property
    def pid(self) -> int:
        return int(self.memory.pids["model"])

    @property
    def restarts(self) -> float | None:
        return self.registry.get_sample_value("diptych_model_process_restarts_total")

    async def lengths(self, *texts: str) -> list[int | Failure]:
        """Of one batch, once the model takes batches."""
        await self.worker.run(())
        return list((await self.worker.run(texts)).outputs)


@asynccontextmanager
async def serving(
    load: str = "load", directory: Path = Path(), *, hang_timeout_seconds: float = 30.0
) -> AsyncIterator[Front]:
    front = Front(load, directory, hang_timeout_seconds)
    try:
        await front.worker.start()
        await front.worker.warmup()
        yield front
    finally:
        await front.worker.close()


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
