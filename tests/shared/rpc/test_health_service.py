"""Health is asked by strangers: one who reads nothing holds up nobody, and not everybody may watch at once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from shared.settings import ServerSettings
from tests.shared.rpc.raw_http2 import PREFACE, frame, head, raw
from tests.shared.rpc.serving import SERVICE, serving

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
NO_WINDOW = frame(4, 0, 0, b"\x00\x04" + b"\x00" * 4)
"""Settings of somebody who takes no byte of an answer."""
WATCH = frame(1, 4, 1, head("grpc.health.v1.Health/Watch")) + frame(0, 1, 1, b"\x00" * 5)


def watching(channel: grpc.aio.Channel, service: str = "") -> Any:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    return stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=20)


@pytest.mark.parametrize("port", ["port", "health_port"])
async def test_watcher_who_reads_nothing_holds_up_neither_others_nor_the_drain(port: str) -> None:
    async with serving(settings=ServerSettings(health_port=0)) as (server, _):
        number = getattr(server, port)
        async with (
            raw(number, PREFACE + NO_WINDOW + WATCH) as reader,
            grpc.aio.insecure_channel(f"127.0.0.1:{number}") as channel,
            asyncio.timeout(20),
        ):
            received = b""
            while b"application/grpc" not in received:  # the head of its answer, which no window holds back
                received += await reader.read(4096)
            await server.set_serving(False)
            assert (await watching(channel).read()).status == NOT_SERVING


@pytest.mark.parametrize("port", ["port", "health_port"])
async def test_no_more_watches_at_once_than_connections(port: str) -> None:
    async with serving(settings=ServerSettings(health_port=0, max_connections=3)) as (server, _):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{getattr(server, port)}") as channel:
            watches = [watching(channel) for _ in range(3)]
            assert [(await watch.read()).status for watch in watches] == [SERVING] * 3
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await watching(channel).read()
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            stub: Any = health_pb2_grpc.HealthStub(channel)
            assert (await stub.Check(health_pb2.HealthCheckRequest(), timeout=20)).status == SERVING
            watches[0].cancel()
            async with asyncio.timeout(20):
                while True:  # until the server has seen that it left
                    try:
                        assert (await watching(channel).read()).status == SERVING
                        break
                    except grpc.aio.AioRpcError:
                        await asyncio.sleep(0.01)


@pytest.mark.parametrize("method", ["Check", "Watch"])
async def test_calls_that_say_nothing_are_bounded_and_end(method: str) -> None:
    """A stranger may begin a thousand on each connection."""
    begun = frame(1, 4, 1, head(f"grpc.health.v1.Health/{method}"))
    settings = ServerSettings(max_connections=8, handshake_seconds=1.0)
    async with serving(settings=settings) as (server, channel), AsyncExitStack() as strangers, asyncio.timeout(20):
        health: Any = health_pb2_grpc.HealthStub(channel)

        async def code() -> grpc.StatusCode:
            try:
                call = getattr(health, method)(health_pb2.HealthCheckRequest(), timeout=20)
                await (call if method == "Check" else call.read())
            except grpc.aio.AioRpcError as error:
                return error.code()
            return grpc.StatusCode.OK

        call = (
            PREFACE + frame(4, 0, 0) + b"".join(begun[:5] + n.to_bytes(4, "big") + begun[9:] for n in range(1, 17, 2))
        )
        await strangers.enter_async_context(raw(server.port, call))
        while await code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
            await asyncio.sleep(0.01)
        while await code() is not grpc.StatusCode.OK:
            await asyncio.sleep(0.01)


async def test_every_watcher_of_a_service_is_told_and_those_of_others_are_not() -> None:
    async with serving() as (server, channel):
        watches = {name: watching(channel, name) for name in ("", SERVICE, "nobody")}
        assert [(await each.read()).status for each in watches.values()] == [SERVING, SERVING, UNKNOWN]
        await server.set_serving(False)
        assert [(await watches[name].read()).status for name in ("", SERVICE)] == [NOT_SERVING] * 2
        further = asyncio.create_task(watches["nobody"].read())
        await server.set_serving(True)
        assert (await watches[""].read()).status == SERVING
        assert not further.done()
        further.cancel()


async def test_unknown_service_is_told_as_not_found() -> None:
    async with serving() as (_, channel):
        stub: Any = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=20)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
