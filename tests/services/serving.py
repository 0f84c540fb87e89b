"""A servicer over a real queue and a real socket, with a plain function for its model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from shared.errors import CallError
from shared.inference.batch_run import BatchResult
from shared.inference.batching import DynamicBatcher
from shared.inference.predictor import ModelInfo
from shared.inference.service import AddServicer
from shared.metrics import BatcherMetrics
from shared.rpc.channel import open_channel
from shared.rpc.server import Server
from shared.rpc.status import from_rpc_error
from shared.settings import ServerSettings

INFO = ModelInfo(name="fake", version="1", digest="d" * 64, space="s1", bucket_sizes=(1, 2, 4), languages=("en", "zh"))


@asynccontextmanager
async def serving(add_servicer: AddServicer, answer: Callable[[Any], Any]) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a server whose model answers each item with `answer(item)`."""

    async def run(batch: Sequence[Any]) -> BatchResult[Any]:
        return BatchResult(outputs=[answer(item) for item in batch], inference_seconds=0.25)

    registry = CollectorRegistry()
    batcher: DynamicBatcher[Any, Any] = DynamicBatcher(
        run,
        bucket_sizes=INFO.bucket_sizes,
        max_queue_items=64,
        max_queue_bytes=1 << 20,
        metrics=BatcherMetrics(registry),
    )
    server = Server(ServerSettings(), registry, services=[])
    add_servicer(server.grpc, batcher, INFO)
    async with batcher, server, open_channel(f"127.0.0.1:{server.port}", max_message_bytes=1 << 20) as channel:
        yield channel


async def refused(call: Any) -> CallError:
    """The error that a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)
