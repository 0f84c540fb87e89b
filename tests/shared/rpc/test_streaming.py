"""Calls with many answers: they flow as they come, end with errors like any, and leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from prometheus_client import CollectorRegistry

from diptych.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from diptych.types.v1 import image_pb2
from shared.codes import Reason
from shared.errors import InvalidArgumentError
from shared.rpc import metadata
from shared.rpc.channel import open_channel
from shared.rpc.server import Server
from shared.rpc.status import from_rpc_error
from shared.settings import ServerSettings

SERVICE = "diptych.gateway.v1.GatewayService"
METHOD = f"{SERVICE}/StreamTextToImage"
REQUEST = gateway_pb2.StreamTextToImageRequest(prompt="a cat")
Message = gateway_pb2.StreamTextToImageResponse
if TYPE_CHECKING:
    Stub = gateway_pb2_grpc.GatewayServiceAsyncStub


@asynccontextmanager
async def streaming(
    answers: Callable[[], AsyncIterator[Message]], registry: CollectorRegistry | None = None
) -> AsyncIterator[tuple[Server, Stub]]:
    """A server whose StreamTextToImage is `answers`."""

    server = Server(ServerSettings(), registry or CollectorRegistry(), services=[SERVICE])
    handler = grpc.unary_stream_rpc_method_handler(
        lambda request, context: answers(),  # what the method of a generated servicer is
        gateway_pb2.StreamTextToImageRequest.FromString,
        Message.SerializeToString,
    )
    handlers = grpc.method_handlers_generic_handler(SERVICE, {"StreamTextToImage": handler})
    server.grpc.add_generic_rpc_handlers((handlers,))
    async with server:
        await server.set_serving(True)
        async with open_channel(f"127.0.0.1:{server.port}", max_message_bytes=1 << 26) as channel:
            yield server, gateway_pb2_grpc.GatewayServiceStub(channel)


def count(registry: CollectorRegistry, code: str) -> float | None:
    return registry.get_sample_value("diptych_rpc_requests_total", {"method": METHOD, "code": code})


class Endless:
    """One message, then none until it is closed."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def __call__(self) -> AsyncIterator[Message]:
        try:
            yield Message(index=1)
            await asyncio.Event().wait()
        finally:
            self.closed.set()


async def test_messages_arrive_as_they_are_made() -> None:
    go_on = asyncio.Event()

    async def answers() -> AsyncIterator[Message]:
        yield Message(index=1)
        await go_on.wait()
        yield Message(index=2)

    registry = CollectorRegistry()
    async with streaming(answers, registry) as (_, stub):
        call = stub.StreamTextToImage(REQUEST, timeout=10, metadata=((metadata.REQUEST_ID, "r1"),))
        assert (await anext(aiter(call))).index == 1
        go_on.set()
        assert [message.index async for message in call] == [2]
        assert (await call.trailing_metadata())[metadata.REQUEST_ID] == "r1"
        assert count(registry, "OK") == 1


async def test_error_after_a_message_arrives_with_details_and_trailers() -> None:
    async def answers() -> AsyncIterator[Message]:
        yield Message(index=1)
        raise InvalidArgumentError("seeds[0] is odd", reason=Reason.FIELD_INVALID, field="seeds[0]")

    registry = CollectorRegistry()
    async with streaming(answers, registry) as (_, stub):
        call = stub.StreamTextToImage(REQUEST, timeout=10, metadata=((metadata.REQUEST_ID, "r2"),))
        messages = aiter(call)
        assert (await anext(messages)).index == 1
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await anext(messages)
        error = from_rpc_error(caught.value)
        assert isinstance(error, InvalidArgumentError)
        assert (error.field, error.reason) == ("seeds[0]", Reason.FIELD_INVALID)
        assert caught.value.trailing_metadata()[metadata.REQUEST_ID] == "r2"
        assert count(registry, "INVALID_ARGUMENT") == 1


async def test_unexpected_exception_keeps_its_text_to_itself() -> None:
    async def answers() -> AsyncIterator[Message]:
        raise RuntimeError("secret of the house")
        yield Message()

    async with streaming(answers) as (_, stub):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [each async for each in stub.StreamTextToImage(REQUEST, timeout=10)]
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in (caught.value.details() or "")


@pytest.mark.parametrize(("timeout", "code"), [(0.3, "DEADLINE_EXCEEDED"), (None, "CANCELLED")])
async def test_caller_that_leaves_closes_the_generator_and_is_counted(timeout: float | None, code: str) -> None:
    answers, registry = Endless(), CollectorRegistry()
    async with streaming(answers, registry) as (_, stub):
        call = stub.StreamTextToImage(REQUEST, timeout=timeout)
        await anext(aiter(call))
        if timeout is None:
            call.cancel()
        await asyncio.wait_for(answers.closed.wait(), 5)
        await asyncio.sleep(0.05)
        assert count(registry, code) == 1
        assert registry.get_sample_value("diptych_rpc_in_flight", {"method": METHOD}) == 0


async def test_caller_that_leaves_without_reading_closes_the_generator() -> None:
    closed = asyncio.Event()
    made = 0

    async def answers() -> AsyncIterator[Message]:
        nonlocal made
        image = gateway_pb2.PaintedImage(image=image_pb2.Image(data=bytes(1 << 20)))
        try:
            for index in range(1000):
                made = index
                yield Message(index=index, image=image)
        finally:
            closed.set()

    async with streaming(answers) as (_, stub):
        call = stub.StreamTextToImage(REQUEST)
        await anext(aiter(call))
        await asyncio.sleep(0.3)  # the sender stands still: nobody reads
        call.cancel()
        await asyncio.wait_for(closed.wait(), 5)
    assert made < 999


async def test_drain_waits_for_streams_under_way_and_refuses_new_ones() -> None:
    go_on = asyncio.Event()

    async def answers() -> AsyncIterator[Message]:
        yield Message(index=1)
        await go_on.wait()
        yield Message(index=2)

    registry = CollectorRegistry()
    async with streaming(answers, registry) as (server, stub):
        call = stub.StreamTextToImage(REQUEST, timeout=20)
        messages = aiter(call)
        await anext(messages)
        stopping = asyncio.create_task(server.__aexit__(None, None, None))
        await asyncio.sleep(0.1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [each async for each in stub.StreamTextToImage(REQUEST, timeout=10)]
        assert from_rpc_error(caught.value).reason is Reason.NOT_SERVING
        assert not stopping.done()
        go_on.set()
        assert [message.index async for message in messages] == [2]
        await stopping
    assert count(registry, "OK") == 1
