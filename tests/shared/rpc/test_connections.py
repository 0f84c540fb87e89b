"""What a gRPC port grants to connections: how long they may take, how many there are, how long they live."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from diptych.text.v1 import text_encoding_pb2
from shared.settings import ServerSettings
from tests.certificates import Authority, Secret
from tests.gateway.behaviour import Behaviour
from tests.gateway.fake_services import FakeReplica
from tests.shared.rpc.pooling import encode, pool_of
from tests.shared.rpc.raw_http2 import CLIENT_HELLO, HALF_A_HEAD, HEAD, PREFACE, SETTINGS, closed, frame, frames, raw
from tests.shared.rpc.serving import request, serving, stub
from tests.shared.rpc.steady import steady
from tests.shared.rpc.tls import IdentityServicer, tls_server


@pytest.mark.parametrize("sent", [b"", PREFACE[:8], PREFACE], ids=["nothing", "half a preface", "no settings"])
async def test_connection_that_never_gets_ready_is_closed(sent: bytes) -> None:
    async with serving(settings=ServerSettings(handshake_seconds=0.3)) as (server, channel):
        async with raw(server.port, sent) as reader:
            assert await closed(reader)
        await stub(channel).EncodeText(request("a"), timeout=20)


@pytest.mark.parametrize("sent", [b"", CLIENT_HELLO], ids=["nothing", "half a handshake"])
@pytest.mark.parametrize("port", ["port", "metrics_port"])
async def test_handshake_that_never_ends_is_cut_off_and_holds_up_nobody(tmp_path: Path, port: str, sent: bytes) -> None:
    authority = Authority(tmp_path)
    secret = Secret(tmp_path / "secret", authority.leaf(), authority)
    async with tls_server(**secret.server(), handshake_seconds=0.5) as server:
        async with AsyncExitStack() as slow:
            readers = [await slow.enter_async_context(raw(getattr(server, port), sent)) for _ in range(20)]
            assert all(await asyncio.gather(*map(closed, readers)))


async def test_connection_with_half_a_head_is_closed_as_an_idle_one() -> None:
    settings = ServerSettings(connection_idle_seconds=0.5)
    async with serving(settings=settings) as (server, _), raw(server.port, PREFACE + SETTINGS + HALF_A_HEAD) as reader:
        assert await closed(reader)


async def test_idle_connections_are_closed_and_their_channels_call_on() -> None:
    async with serving(settings=ServerSettings(connection_idle_seconds=0.2)) as (server, channel):
        async with AsyncExitStack() as idle:
            readers = [await idle.enter_async_context(raw(server.port, PREFACE + SETTINGS)) for _ in range(20)]
            await stub(channel).EncodeText(request("a"), timeout=20)
            assert all(await asyncio.gather(*map(closed, readers)))
        while channel.get_state() is grpc.ChannelConnectivity.READY:
            await asyncio.sleep(0.01)
        await stub(channel).EncodeText(request("a"), timeout=20)


async def test_handshakes_under_way_count_as_connections(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    secret = Secret(tmp_path / "secret", authority.leaf(), authority)
    async with tls_server(**secret.server(), max_connections=3) as server, AsyncExitStack() as slow:
        readers = [await slow.enter_async_context(raw(server.port, CLIENT_HELLO)) for _ in range(8)]
        ended = [asyncio.create_task(closed(reader)) for reader in readers]
        async with asyncio.timeout(10):
            while sum(each.done() for each in ended) < 5:
                await asyncio.sleep(0.01)
        assert sum(each.done() for each in ended) == 5
        for each in ended:
            each.cancel()


async def test_no_more_connections_than_the_setting_says() -> None:
    async with serving(settings=ServerSettings(max_connections=3)) as (server, channel):
        await stub(channel).EncodeText(request("a"), timeout=20)
        async with raw(server.port, PREFACE + SETTINGS) as first, raw(server.port, PREFACE + SETTINGS) as second:
            assert await first.read(9) and await second.read(9)
            async with raw(server.port, PREFACE + SETTINGS) as third:
                assert await closed(third)
            await stub(channel).EncodeText(request("a"), timeout=20)
        async with asyncio.timeout(20):
            while True:  # until the server has seen that they left
                async with raw(server.port, PREFACE + SETTINGS) as further:
                    try:
                        if await further.read(9):
                            break
                    except ConnectionError:
                        pass
                await asyncio.sleep(0.02)


class Held:
    """A servicer that holds every call until it is told, and counts them."""

    def __init__(self) -> None:
        self.under_way = self.most = 0
        self.released = asyncio.Event()

    async def __call__(self, _: text_encoding_pb2.EncodeTextRequest) -> text_encoding_pb2.EncodeTextResponse:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.released.wait()
        await asyncio.sleep(0.005)
        self.under_way -= 1
        return text_encoding_pb2.EncodeTextResponse()


async def test_further_calls_on_a_connection_than_the_setting_says_wait_and_none_fails() -> None:
    held = Held()
    held.released.set()
    async with serving(held, settings=ServerSettings(max_streams=3)) as (_, channel):
        calls: list[Any] = [stub(channel).EncodeText(request("a"), timeout=60) for _ in range(200)]
        await asyncio.gather(*calls)
    assert held.most == 3


async def test_further_calls_of_a_caller_who_heeds_no_limit_are_refused() -> None:
    held = Held()
    async with serving(held, settings=ServerSettings(max_streams=3)) as (server, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(PREFACE + frame(4, 0, 0))
        async for kind, flags, _, _ in frames(reader):
            if kind == 4 and not flags:  # the server's settings: from our word on they hold
                writer.write(frame(4, 1, 0))
                break
        for number in range(10):
            writer.write(frame(1, 4, 2 * number + 1, HEAD) + frame(0, 1, 2 * number + 1, b"\x00" * 5))
        refused = set()
        async for kind, _, stream, payload in frames(reader):
            if kind == 3 and payload == b"\x00\x00\x00\x07":
                refused.add(stream)
            if len(refused) == 7:
                break
        async with asyncio.timeout(20):
            while held.under_way < 3:
                await asyncio.sleep(0.01)
        held.released.set()
        writer.close()
    assert held.most == 3


async def test_connections_that_grow_old_are_replaced_and_no_call_fails() -> None:
    servicer = IdentityServicer()
    async with (
        tls_server(servicer, connection_age_seconds=0.1, connection_grace_seconds=20) as server,
        # A channel as gRPC's are. Ours try nothing again by themselves: who uses them does.
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        steady(lambda: stub(channel).EncodeText(request("a"), timeout=20), callers=16) as answers,
    ):
        async with asyncio.timeout(60):
            while len(servicer.connections) < 20:
                await asyncio.sleep(0.01)
    assert len(answers) > 100


async def test_pool_over_connections_that_grow_old_fails_no_call() -> None:
    settings = ServerSettings(connection_age_seconds=0.1, connection_grace_seconds=0.3)
    async with FakeReplica("text", Behaviour(), settings) as replica, pool_of([replica.address]) as pool:
        async with steady(lambda: encode(pool), callers=16) as answers:
            await asyncio.sleep(3)
        assert len(answers) > 100
