"""Pools over fake text encoders: what the tests of pools stand on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from diptych.text.v1 import text_encoding_pb2, text_encoding_pb2_grpc
from shared.metrics import DownstreamMetrics
from shared.rpc.replica_pool import PoolOptions, ReplicaPool
from shared.rpc.replica_set import Resolve
from shared.rpc.resolver import resolve
from tests.gateway.behaviour import Behaviour
from tests.gateway.fake_services import FakeReplica

if TYPE_CHECKING:
    TextPool = ReplicaPool[text_encoding_pb2_grpc.TextEncodingServiceAsyncStub]

PATIENT = PoolOptions(replica_wait_seconds=20)
"""However busy the machine, a replica that serves is found."""
REQUEST = text_encoding_pb2.EncodeTextRequest(texts=["abc"])


@asynccontextmanager
async def pool_of(
    targets: Sequence[str],
    registry: CollectorRegistry | None = None,
    options: PoolOptions = PATIENT,
    resolve: Resolve = resolve,
) -> AsyncIterator[TextPool]:
    metrics = DownstreamMetrics(registry or CollectorRegistry())
    stub = text_encoding_pb2_grpc.TextEncodingServiceStub
    async with ReplicaPool("text", targets, stub, metrics=metrics, options=options, resolve=resolve) as pool:
        yield pool


@asynccontextmanager
async def fakes(*behaviours: Behaviour) -> AsyncIterator[list[FakeReplica]]:
    replicas = [FakeReplica("text", behaviour) for behaviour in behaviours]
    await asyncio.gather(*(replica.start() for replica in replicas))
    try:
        yield replicas
    finally:
        await asyncio.gather(*(replica.kill() for replica in replicas))


async def all_serve(pool: TextPool, number: int, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while sum(pool.spaces().values()) != number:
            await asyncio.sleep(0.01)


async def encode(pool: TextPool, space: str | None = None) -> str:
    answer = await pool.call(lambda stub: stub.EncodeText, REQUEST, space=space)
    return answer.model.version
