"""The peers' client for the load generator."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from tests.benchmarks.load.client import Call, Ending
from tests.benchmarks.peers.grpc_transport import rpc
from tests.benchmarks.peers.http_transport import http
from tests.benchmarks.peers.transport import Send
from tests.benchmarks.peers.wire import WIRES

LEAST_BYTES = 40
"""Of any answer: five labels with their probabilities."""

Transport = Callable[[str], AbstractAsyncContextManager[Send]]
TRANSPORTS: Mapping[str, Transport] = {
    "bentoml": functools.partial(http, path="/answer"),
    "litserve": functools.partial(http, path="/predict"),
    "mlserver": functools.partial(rpc, server="mlserver"),
    "pytriton": functools.partial(rpc, server="pytriton"),
    "ray": functools.partial(rpc, server="ray"),
    "torchserve": functools.partial(rpc, server="torchserve"),
}
"""By server: the faster of its ways in; README.md here says what was tried."""


@asynccontextmanager
async def client(address: str, *, task: str, transport: str) -> AsyncIterator[Call]:
    """Opens what that server needs."""
    payload = WIRES[task].payload
    payload(0)  # what inputs are made of is made once, before any call
    async with TRANSPORTS[transport](address) as send:

        async def call(number: int, seconds: float | None) -> Ending:
            ending, answer = await send(payload(number), seconds)
            if ending is Ending.ANSWERED and len(answer) < LEAST_BYTES:
                raise RuntimeError(f"that is no answer: {answer!r}")
            return ending

        yield call
