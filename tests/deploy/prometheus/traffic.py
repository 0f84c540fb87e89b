"""Traffic that leaves a mark on every metric: calls of every flow, and every sort of end that a call can have."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc

from diptych.gateway.v1 import gateway_pb2
from diptych.text.v1 import text_encoding_pb2
from shared.rpc.channel import open_channel
from tests.end_to_end.calls import Stubs, encode
from tests.end_to_end.frozen import frozen_model
from tests.end_to_end.servers import Server
from tests.traffic import CALL_SECONDS, FLOWS, PICTURE

TEXTS = 64
"""Of one call; the queue of a text service takes 256."""


@asynccontextmanager
async def steady_traffic(gateway: Stubs, *, callers: int = 1, pause_seconds: float = 0.3) -> AsyncIterator[None]:
    """Calls of every flow as long as the block lasts, half of the prompts new; how they end does not matter."""
    over, numbers = asyncio.Event(), itertools.count()

    async def new_prompt() -> None:
        request = gateway_pb2.TextToImageRequest(prompt=f"{next(numbers)} cats", image_count=2)
        await gateway.gateway.TextToImage(request, timeout=CALL_SECONDS)

    async def same_seed() -> None:
        request = gateway_pb2.TextToImageRequest(prompt="a dog", seeds=[1, 2, 3])
        await asyncio.gather(*(ended(gateway.gateway.TextToImage(request, timeout=CALL_SECONDS)) for _ in range(4)))

    async def caller(flow: Any) -> None:
        while not over.is_set():
            await ended(flow())
            await asyncio.sleep(pause_seconds)

    flows = [*(lambda flow=flow: flow(gateway.gateway) for flow in FLOWS), *[new_prompt] * len(FLOWS), same_seed]
    tasks = [asyncio.create_task(caller(flow)) for flow in flows for _ in range(callers)]
    try:
        yield
    finally:
        over.set()
        await asyncio.gather(*tasks)


async def ended(call: Awaitable[Any]) -> grpc.StatusCode:
    """How a call ended."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def trouble(gateway: Stubs, text: Server, text_stubs: Stubs, classification: Server) -> None:
    """Everything that may go wrong, once or more: bad input, left calls, late ones, overload, a lost model process."""
    await _mistakes(gateway)
    await _overload(gateway, text, text_stubs)
    await _lost_model(gateway, classification)


async def _mistakes(gateway: Stubs) -> None:
    """What callers do wrong."""
    nothing = gateway_pb2.TextToImageRequest()
    garbage = gateway_pb2.ImageToTextRequest(images=[b"no picture"])
    texts = gateway_pb2.EncodeTextRequest(texts=["late"])
    for _ in range(3):
        await ended(gateway.gateway.TextToImage(nothing, timeout=CALL_SECONDS))
        await ended(gateway.gateway.ImageToText(garbage, timeout=CALL_SECONDS))
        await ended(gateway.gateway.EncodeText(texts, timeout=0.001))


async def _overload(gateway: Stubs, text: Server, stubs: Stubs) -> None:
    """A full queue before a model that is held: calls are left, late, displaced and refused."""
    with frozen_model(text):
        late = [asyncio.create_task(ended(_late(stubs, word))) for word in ("running", "behind it", "at the end")]
        await asyncio.sleep(0.1)
        waiting = [encode(stubs, *_some(f"waiting {number}"), caller="greedy") for number in range(3)]
        left = encode(stubs, *_some("left")[:4])
        await asyncio.sleep(0.3)
        left.cancel()
        displacing = encode(stubs, *_some("displacing"), caller="modest")
        refused = [ended(_encoded(gateway, f"refused {number}", timeout=CALL_SECONDS)) for number in range(4)]
        hurried = [ended(_encoded(gateway, f"hurried {number}", timeout=0.3)) for number in range(40)]
        await asyncio.gather(*refused, *hurried)
        # Late calls are to be found late: awake, a busy server hears of their callers' going before its own clock.
        text.popen.send_signal(signal.SIGSTOP)
        try:
            await asyncio.gather(*late)
        finally:
            text.popen.send_signal(signal.SIGCONT)
    await asyncio.gather(*map(ended, [*waiting, displacing]))


async def _lost_model(gateway: Stubs, server: Server) -> None:
    """The model process dies in a batch; the calls in it end when it is back."""
    with frozen_model(server):
        request = gateway_pb2.ClassifyImageRequest(images=[PICTURE])
        call = asyncio.create_task(ended(gateway.gateway.ClassifyImage(request, timeout=CALL_SECONDS)))
        await asyncio.sleep(0.5)
        server.signal_model(signal.SIGKILL)
    await call


def _some(word: str) -> list[str]:
    return [f"{word} {number}" for number in range(TEXTS)]


def _late(text: Stubs, word: str) -> Awaitable[Any]:
    # Time enough that a busy machine does not refuse it, for it is to wait in the queue until it is late.
    return text.text.EncodeText(text_encoding_pb2.EncodeTextRequest(texts=_some(word)[:48]), timeout=1.5)


def _encoded(gateway: Stubs, word: str, *, timeout: float) -> Awaitable[Any]:
    return gateway.gateway.EncodeText(gateway_pb2.EncodeTextRequest(texts=_some(word)), timeout=timeout)


@asynccontextmanager
async def connected(*servers: Server) -> AsyncIterator[list[Stubs]]:
    """Stubs on a channel to each server."""
    async with AsyncExitStack() as stack:
        yield [
            Stubs(await stack.enter_async_context(open_channel(server.address, max_message_bytes=64 * 1024 * 1024)))
            for server in servers
        ]
