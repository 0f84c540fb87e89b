"""A model service, put together: model process, batcher and gRPC server; each service adds only its servicer."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any

import grpc
from prometheus_client import CollectorRegistry

from shared.inference.batching import DynamicBatcher
from shared.inference.predictor import ModelInfo
from shared.inference.request import Priority
from shared.inference.worker import ModelWorker
from shared.metrics import BatcherMetrics, ProcessMemory, WorkerMetrics
from shared.rpc import metadata
from shared.rpc.context import current_call
from shared.rpc.credentials import followed_server_certificates
from shared.rpc.interceptors import Metadata
from shared.rpc.server import Server
from shared.settings import ModelServiceSettings

_TOLD_AGAIN_SECONDS = 0.001
AddServicer = Callable[[grpc.aio.Server, DynamicBatcher[Any, Any], ModelInfo], None]


async def serve_model(
    settings: ModelServiceSettings, *, load: str, service: str, add_servicer: AddServicer
) -> str | None:
    """Serves one model until it is told to stop; returns the reason of a fault, None after a clean stop.

    The model is read and verified before the port opens, and every bucket is warm before health says SERVING.

    Args:
        settings: of the service.
        load: dotted name of the predictor's `load`, such as `services.text.predictor:load`.
        service: full name of the gRPC service.
        add_servicer: adds the service to a server, given the queue to submit to and the model behind it.

    Raises:
        ConfigurationError: the model directory or an address cannot be served, or certificates cannot be used.
    """
    followed_server_certificates(settings)  # what is wrong with them is said now, not when the model has been read
    registry = CollectorRegistry()
    health: asyncio.Queue[bool] = asyncio.Queue()
    worker: ModelWorker[Any, Any] = ModelWorker(
        load,
        settings.model_directory,
        settings.runtime(),
        hang_timeout_seconds=settings.hang_timeout_seconds,
        metrics=WorkerMetrics(registry),
        memory=ProcessMemory(registry),
        on_ready=health.put_nowait,
    )
    try:
        info = await worker.start()
        batcher: DynamicBatcher[Any, Any] = DynamicBatcher(
            worker.run,
            bucket_sizes=info.bucket_sizes,
            max_queue_items=settings.max_queue_items,
            max_queue_bytes=settings.max_queue_bytes,
            metrics=BatcherMetrics(registry),
        )
        server = Server(
            settings,
            registry,
            services=[service],
            trailing=LoadTold(batcher),
            watch_metadata=_identity(info),
        )
        add_servicer(server.grpc, batcher, info)
        async with batcher, server:
            reporting = asyncio.create_task(_report_health(health, server))
            try:
                return await server.run(_fault(worker))
            finally:
                reporting.cancel()
    finally:
        await worker.close()


async def _fault(worker: ModelWorker[Any, Any]) -> str:
    """Warms the model up, then completes when its process is lost for good."""
    await worker.warmup()
    return await worker.failed()


async def _report_health(states: asyncio.Queue[bool], server: Server) -> None:
    while True:
        await server.set_serving(await states.get())


class LoadTold:
    """What a gateway must know to choose among replicas, and to refuse early; as the current call's caller meets it."""

    def __init__(self, batcher: DynamicBatcher[Any, Any]) -> None:
        self._batcher = batcher
        self._until = -math.inf
        self._told: dict[tuple[str, str], Metadata] = {}
        """By priority and caller."""

    def __call__(self) -> Metadata:
        """Trailers; those of a millisecond ago, since under overload they would be a third of what a refusal costs."""
        now = time.monotonic()
        if now >= self._until:
            self._told.clear()
            self._until = now + _TOLD_AGAIN_SECONDS
        call = current_call()
        key = call.priority, call.caller
        if (told := self._told.get(key)) is None:
            told = self._told[key] = self._tell(Priority(call.priority), call.caller)
        return told

    def _tell(self, priority: Priority, caller: str) -> Metadata:
        batcher = self._batcher
        return (
            (metadata.QUEUE_SECONDS, f"{batcher.predicted_wait_seconds():.4f}"),
            (metadata.ITEM_SECONDS, f"{batcher.item_seconds():.4f}"),
            (metadata.ANSWER_SECONDS, f"{batcher.least_deadline_seconds(priority, caller):.4f}"),
        )


def _identity(info: ModelInfo) -> Metadata:
    return (
        (metadata.MODEL_NAME, info.name),
        (metadata.MODEL_VERSION, info.version),
        (metadata.MODEL_DIGEST, info.digest),
        (metadata.MODEL_SPACE, info.space),
    )
