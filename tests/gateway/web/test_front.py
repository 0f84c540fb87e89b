"""The life of the playground's server: it starts with the gateway, loses callers, and drains with it."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from gateway.__main__ import gateway_server
from gateway.settings import SERVICES
from shared.errors import ConfigurationError
from tests.gateway.fake_platform import PATIENT
from tests.gateway.web.playground import HOST, SERVICE, Playground, ask, ask_json
from tests.ports import free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def _streaming(playground: Playground) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection with a StreamTextToImage of two pictures under way, the services at work."""
    data = json.dumps({"prompt": "a cat", "seeds": ["1", "2"]}).encode()
    head = (
        f"POST {SERVICE}StreamTextToImage HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/connect+json\r\n"
        f"content-length: {len(data) + 5}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(HOST, playground.port)
    writer.write(head.encode() + struct.pack(">BI", 0, len(data)) + data)
    await asyncio.wait_for(playground.generation.called.wait(), 20)
    try:
        yield reader, writer
    finally:
        writer.close()


async def test_caller_who_leaves_a_stream_stops_the_painting(playground: Playground) -> None:
    playground.generation.gate = asyncio.Semaphore(0)
    async with _streaming(playground):
        pass
    await asyncio.wait_for(playground.generation.cancelled.wait(), 20)
    assert playground.generation.calls == []


async def test_caller_who_leaves_after_the_first_picture_stops_the_second(playground: Playground) -> None:
    playground.generation.gate = asyncio.Semaphore(1)
    async with _streaming(playground) as (reader, _):
        await asyncio.wait_for(reader.readuntil(b'"seed"'), 20)
    await asyncio.wait_for(playground.generation.cancelled.wait(), 20)
    assert len(playground.generation.calls) == 1


async def test_caller_who_leaves_a_unary_call_stops_it(playground: Playground) -> None:
    playground.generation.gate = asyncio.Semaphore(0)
    _, writer = await asyncio.open_connection(HOST, playground.port)
    body = b'{"prompt": "a cat"}'
    writer.write(
        f"POST {SERVICE}TextToImage HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    await asyncio.wait_for(playground.generation.called.wait(), 20)
    writer.close()
    await asyncio.wait_for(playground.generation.cancelled.wait(), 20)


@asynccontextmanager
async def _own_gateway(playground: Playground) -> AsyncIterator[Playground]:
    """A further gateway before the same fakes; leaving it drains."""
    port = free_port()
    targets = {f"{name}_targets": getattr(playground.platform, name)[0].address for name in SERVICES}
    settings = PATIENT.model_copy(update={"port": 0, "web_port": port, **targets})
    async with gateway_server(settings, CollectorRegistry()):
        yield replace(playground, port=port)


async def test_drain_finishes_streams_and_then_nothing_listens(playground: Playground) -> None:
    playground.generation.gate = gate = asyncio.Semaphore(0)
    async with _own_gateway(playground) as draining:
        connection = _streaming(draining)
        reader, _ = await connection.__aenter__()
        asyncio.get_running_loop().call_later(0.5, gate.release)
        asyncio.get_running_loop().call_later(0.7, gate.release)
    answer = await asyncio.wait_for(reader.read(), 20)
    await connection.__aexit__(None, None, None)
    assert answer.count(b'"pixelSha256"') >= 2
    assert b'"error"' not in answer
    with pytest.raises(ConnectionError):
        await ask(draining, "/")


async def test_call_during_the_drain_is_told_to_go_elsewhere(playground: Playground) -> None:
    playground.generation.gate = gate = asyncio.Semaphore(0)
    gateway = _own_gateway(playground)
    draining = await gateway.__aenter__()
    async with _streaming(draining):
        leaving = asyncio.create_task(gateway.__aexit__(None, None, None))
        await asyncio.sleep(0.2)
        refused = await ask_json(draining, "EncodeText", {"texts": ["a cat"]})
        gate.release()
        gate.release()
        await asyncio.wait_for(leaving, 20)
    assert (refused.status, refused.json["code"]) == (503, "unavailable")


async def test_taken_port_is_an_error_of_configuration() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        settings = PATIENT.model_copy(update={"port": 0, "web_port": port})
        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port} for the playground"):
            async with gateway_server(settings, CollectorRegistry()):
                pass
