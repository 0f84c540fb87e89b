"""Calls that are cancelled or too late leave the service and their neighbours unharmed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import grpc
import pytest

from diptych.gateway.v1 import gateway_pb2
from diptych.text.v1 import text_encoding_pb2
from tests.end_to_end.calls import Connect, Stubs, encode, refusal, until
from tests.end_to_end.conftest import Platform
from tests.end_to_end.frozen import admitted, frozen_model
from tests.end_to_end.servers import Server

REQUEST = text_encoding_pb2.EncodeTextRequest(texts=["a cat"])


def encoding_call(stubs: Stubs, server: Server, *, seconds: float) -> Awaitable[Any]:
    """EncodeText of the gateway or of the text service."""
    if server.name == "gateway":
        return stubs.gateway.EncodeText(gateway_pb2.EncodeTextRequest(texts=["a cat"]), timeout=seconds)
    return stubs.text.EncodeText(REQUEST, timeout=seconds)


def idle(server: Server) -> bool:
    """Nothing waits and nothing runs."""
    metrics = server.metrics()
    names = ("diptych_queue_depth", "diptych_items_in_flight", "diptych_rpc_in_flight")
    return not any(metrics.total(name) for name in names)


async def test_call_cancelled_in_the_queue_does_not_hurt_its_neighbours(platform: Platform, connect: Connect) -> None:
    stubs = connect(platform.text)
    before = platform.text.metrics()
    with frozen_model(platform.text):
        first = encode(stubs, "a cat")
        await admitted(platform.text, in_batch=1, waiting=0)
        left, cancelled, right = encode(stubs, "a dog"), encode(stubs, "a house"), encode(stubs, "an apple")
        await admitted(platform.text, in_batch=1, waiting=3)
        cancelled.cancel()
        await admitted(platform.text, in_batch=1, waiting=2)
    answers = await asyncio.gather(first, left, right)

    alone = [await encode(stubs, text) for text in ("a cat", "a dog", "an apple")]
    assert [answer.encodings[0] for answer in answers] == [answer.encodings[0] for answer in alone]
    dropped = platform.text.metrics().total("diptych_dropped_total", reason="cancelled")
    assert dropped == before.total("diptych_dropped_total", reason="cancelled") + 1


async def test_call_cancelled_in_its_batch_does_not_hurt_its_neighbours(platform: Platform, connect: Connect) -> None:
    stubs = connect(platform.text)
    with frozen_model(platform.text):
        first = encode(stubs, "a cat")
        await admitted(platform.text, in_batch=1, waiting=0)
        later = encode(stubs, "a dog")
        await admitted(platform.text, in_batch=1, waiting=1)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    answer = await later

    assert answer.encodings == (await encode(stubs, "a dog")).encodings


async def test_call_cancelled_at_the_gateway_is_cancelled_at_the_service(platform: Platform, connect: Connect) -> None:
    stubs = connect(platform.gateway)
    with frozen_model(platform.text):
        call = stubs.gateway.TextToImage(gateway_pb2.TextToImageRequest(prompt="a cat"))
        await admitted(platform.text, in_batch=1, waiting=0)
        call.cancel()
        in_flight = "diptych_rpc_in_flight"
        await until(lambda: not platform.gateway.metrics().total(in_flight), "the gateway has let go of the call")
        await until(lambda: not platform.text.metrics().total(in_flight), "the service has let go of the call")
    await until(lambda: idle(platform.text), "the service is idle again")


async def test_deadline_that_has_passed_is_exceeded(platform: Platform, connect: Connect) -> None:
    for server in (platform.text, platform.gateway):
        end = await refusal(encoding_call(connect(server), server, seconds=0.0))

        assert end.code == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_deadlines_as_tight_as_an_answer_takes_end_ok_or_exceeded_and_the_service_keeps_serving(
    platform: Platform, connect: Connect
) -> None:
    for server in (platform.text, platform.gateway):
        stubs = connect(server)
        calls = [encoding_call(stubs, server, seconds=index * 0.0002) for index in range(200)]

        ends = await asyncio.gather(*calls, return_exceptions=True)

        codes = [end.code() for end in ends if isinstance(end, grpc.aio.AioRpcError)]
        # RESOURCE_EXHAUSTED: the queue is too long for the deadline, which is another true answer.
        assert set(codes) <= {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}, codes
        assert grpc.StatusCode.DEADLINE_EXCEEDED in codes
        assert await encoding_call(stubs, server, seconds=30.0)
        await until(lambda: idle(platform.text), "the service is idle again")


async def test_call_that_waits_past_its_deadline_leaves_the_queue(platform: Platform, connect: Connect) -> None:
    stubs = connect(platform.text)
    expired = platform.text.metrics().total("diptych_dropped_total", reason="expired")
    cancelled = platform.text.metrics().total("diptych_dropped_total", reason="cancelled")
    with frozen_model(platform.text):
        first = encode(stubs, "a cat")
        await admitted(platform.text, in_batch=1, waiting=0)
        late = stubs.text.EncodeText(REQUEST, timeout=1.0)
        await admitted(platform.text, in_batch=1, waiting=1)

        assert (await refusal(late)).code == grpc.StatusCode.DEADLINE_EXCEEDED
        await admitted(platform.text, in_batch=1, waiting=0)
    await first

    metrics = platform.text.metrics()
    dropped = [metrics.total("diptych_dropped_total", reason=reason) for reason in ("expired", "cancelled")]
    assert sum(dropped) == expired + cancelled + 1


async def test_deadline_of_the_caller_reaches_the_service_through_the_gateway(
    platform: Platform, connect: Connect
) -> None:
    stubs = connect(platform.gateway)
    with frozen_model(platform.text):
        call = stubs.gateway.EncodeText(gateway_pb2.EncodeTextRequest(texts=["a cat"]), timeout=1.0)

        assert (await refusal(call)).code == grpc.StatusCode.DEADLINE_EXCEEDED
        in_flight = "diptych_rpc_in_flight"
        await until(lambda: not platform.text.metrics().total(in_flight), "the service has let go of the call")
    await until(lambda: idle(platform.text), "the service is idle again")
