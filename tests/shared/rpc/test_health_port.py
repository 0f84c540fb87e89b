"""The port for probes: readiness as on the main port, liveness of its own, nothing else, and a taken port is told."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from diptych.text.v1 import text_encoding_pb2
from shared.errors import ConfigurationError
from shared.rpc.server import Server
from shared.settings import ServerSettings
from tests.shared.rpc.serving import SERVICE, request, serving, stub

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
WITH_PORT = ServerSettings(health_port=0)


async def asked(channel: grpc.aio.Channel, service: str) -> int:
    health: Any = health_pb2_grpc.HealthStub(channel)
    answer = await health.Check(health_pb2.HealthCheckRequest(service=service), timeout=20)
    return int(answer.status)


def channel_to(server: Server) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"127.0.0.1:{server.health_port}")


async def test_readiness_follows_the_server_and_liveness_does_not() -> None:
    async with serving(settings=WITH_PORT) as (server, _), channel_to(server) as probes:
        for serving_now, expected in ((True, SERVING), (False, NOT_SERVING), (True, SERVING)):
            await server.set_serving(serving_now)
            assert [await asked(probes, each) for each in ("", SERVICE, "live")] == [expected, expected, SERVING]


async def test_process_that_listens_and_does_not_serve_is_alive() -> None:
    async with Server(WITH_PORT, CollectorRegistry(), services=[SERVICE]) as server, channel_to(server) as probes:
        assert [await asked(probes, each) for each in ("", "live")] == [NOT_SERVING, SERVING]


async def test_draining_server_is_alive_and_not_ready_until_its_calls_have_ended() -> None:
    arrived, released = asyncio.Event(), asyncio.Event()

    async def encode(_: text_encoding_pb2.EncodeTextRequest) -> text_encoding_pb2.EncodeTextResponse:
        arrived.set()
        await released.wait()
        return text_encoding_pb2.EncodeTextResponse()

    async with serving(encode, settings=WITH_PORT) as (server, channel), channel_to(server) as probes:
        call = asyncio.ensure_future(stub(channel).EncodeText(request("a"), timeout=20))
        await arrived.wait()
        leaving = asyncio.create_task(server.__aexit__(None, None, None))
        async with asyncio.timeout(20):
            while await asked(probes, "") == SERVING:
                await asyncio.sleep(0.01)
        assert await asked(probes, "live") == SERVING
        released.set()
        await call
        await leaving
        with pytest.raises(grpc.aio.AioRpcError):
            await asked(probes, "live")


async def test_watch_tells_each_change() -> None:
    async with serving(settings=WITH_PORT) as (server, _), channel_to(server) as probes:
        health: Any = health_pb2_grpc.HealthStub(probes)
        watch = health.Watch(health_pb2.HealthCheckRequest(service=""), timeout=20)
        assert (await watch.read()).status == SERVING
        await server.set_serving(False)
        assert (await watch.read()).status == NOT_SERVING


async def test_nothing_but_health_is_there() -> None:
    async with serving(settings=WITH_PORT) as (server, _), channel_to(server) as probes:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub(probes).EncodeText(request("a"), timeout=20)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_without_the_setting_there_is_no_such_port() -> None:
    async with serving() as (server, _):
        assert server.health_port is None


async def test_taken_health_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = Server(ServerSettings(health_port=port), CollectorRegistry(), services=[])
        with pytest.raises(ConfigurationError, match=f"^cannot listen on 127.0.0.1:{port} for health: "):
            await server.__aenter__()
