"""The life of a server: health, drain, what is lost and what is not."""

from __future__ import annotations

import asyncio
import os
import signal
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from diptych.text.v1 import text_encoding_pb2
from shared.errors import ConfigurationError
from shared.rpc import metadata
from shared.rpc.server import Server
from shared.settings import ServerSettings
from tests.shared.rpc.serving import METHOD, SERVICE, empty_answer, request, serving, stub

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def health_stub(channel: grpc.aio.Channel) -> Any:
    """The stub; its published types know no method."""
    return health_pb2_grpc.HealthStub(channel)


class Gate:
    """A servicer that holds every call until it is opened."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, _: text_encoding_pb2.EncodeTextRequest) -> text_encoding_pb2.EncodeTextResponse:
        self.arrived.set()
        await self.open.wait()
        return text_encoding_pb2.EncodeTextResponse()


async def test_health_follows_set_serving_for_the_server_and_the_service() -> None:
    async with serving() as (server, channel):
        health = health_stub(channel)
        for expected, state in ((SERVING, True), (NOT_SERVING, False)):
            await server.set_serving(state)
            for name in ("", SERVICE):
                answer = await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
                assert answer.status == expected


async def test_watch_sends_the_identity_first_and_then_each_change() -> None:
    async with serving(watch_metadata=((metadata.MODEL_SPACE, "s1"),)) as (server, channel):
        watch = health_stub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=10)
        assert (await watch.initial_metadata())[metadata.MODEL_SPACE] == "s1"
        assert (await watch.read()).status == SERVING
        await server.set_serving(False)
        assert (await watch.read()).status == NOT_SERVING


async def test_a_drain_ends_watches_with_not_serving_and_unavailable() -> None:
    async with serving() as (server, channel):
        watch = health_stub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=10)
        assert (await watch.read()).status == SERVING
        await server.__aexit__(None, None, None)
        assert (await watch.read()).status == NOT_SERVING
        assert await watch.code() is grpc.StatusCode.UNAVAILABLE


async def test_sigterm_finishes_calls_under_way_and_refuses_new_ones() -> None:
    gate = Gate()
    async with serving(gate) as (server, channel):
        running = asyncio.create_task(server.run())
        accepted = asyncio.ensure_future(stub(channel).EncodeText(request("a"), timeout=10))
        await gate.arrived.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        assert await running is None
        leaving = asyncio.create_task(server.__aexit__(None, None, None))
        await asyncio.sleep(0.05)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub(channel).EncodeText(request("b"), timeout=5)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        gate.open.set()
        assert await accepted == text_encoding_pb2.EncodeTextResponse()
        await leaving


async def test_calls_are_still_taken_during_the_drain_delay() -> None:
    async with serving(settings=ServerSettings(drain_delay_seconds=0.5)) as (server, channel):
        running = asyncio.create_task(server.run())
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        await running
        leaving = asyncio.create_task(server.__aexit__(None, None, None))
        await asyncio.sleep(0.05)
        health = await health_stub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert health.status == NOT_SERVING
        await stub(channel).EncodeText(request("late"), timeout=5)
        await leaving


async def test_drain_timeout_cancels_what_does_not_end() -> None:
    gate = Gate()
    async with serving(gate, settings=ServerSettings(drain_timeout_seconds=0.1)) as (server, channel):
        stuck = asyncio.ensure_future(stub(channel).EncodeText(request("a"), timeout=10))
        await gate.arrived.wait()
        await server.__aexit__(None, None, None)
        with pytest.raises(grpc.aio.AioRpcError):
            await stuck


async def test_a_fault_ends_run_with_its_reason() -> None:
    async def fault() -> str:
        return "the model process died twice"

    async with serving() as (server, _):
        assert await server.run(fault()) == "the model process died twice"


@pytest.mark.skipif(not Path("/proc/net/if_inet6").is_file(), reason="this machine has no IPv6")
async def test_an_ipv6_address_is_listened_on() -> None:
    async with Server(ServerSettings(host="::1"), CollectorRegistry(), services=[]) as server:
        assert server.port


async def test_a_taken_port_is_a_configuration_error() -> None:
    async with serving() as (server, _):
        second = Server(ServerSettings(port=server.port), CollectorRegistry(), services=[])
        with pytest.raises(ConfigurationError, match=str(server.port)):
            await second.__aenter__()


async def test_metrics_are_served_over_http_with_codes() -> None:
    async with serving(empty_answer) as (server, channel):
        await stub(channel).EncodeText(request("a"), timeout=5)
        url = f"http://127.0.0.1:{server.metrics_port}/metrics"
        text = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=5).read().decode())
        assert f'diptych_rpc_requests_total{{code="OK",method="{METHOD}"}} 1.0' in text
