"""What a server does for those who decide who may call: it asks them first, and counts a call in and out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from prometheus_client import CollectorRegistry

from diptych.text.v1 import text_encoding_pb2
from shared.codes import Reason
from shared.errors import ConfigurationError, OverloadedError, UnauthenticatedError
from shared.rpc.access import Entries, Identity
from shared.rpc.channel import open_channel
from shared.rpc.context import CallContext, current_call
from shared.rpc.server import Server
from shared.rpc.status import from_rpc_error
from shared.settings import ServerSettings
from tests.shared.rpc.serving import METHOD, empty_answer, request, serving, stub

OPEN = (("open", "sesame"),)


class Guard:
    """Lets in who says sesame, one at a time."""

    def __init__(self) -> None:
        self.inside = 0
        self.asked: list[tuple[str, str]] = []

    def check(self, method: str, entries: Entries, identity: Identity) -> None:
        self.asked.append((method, identity()))
        if ("open", "sesame") not in entries:
            raise UnauthenticatedError("say sesame", reason=Reason.KEY_MISSING)

    @contextmanager
    def admit(self, call: CallContext, method: str, entries: Entries, identity: Identity) -> Iterator[CallContext]:
        self.check(method, entries, identity)
        if self.inside:
            raise OverloadedError("one at a time", reason=Reason.CONCURRENCY_LIMITED, retry_after_seconds=1.0)
        self.inside += 1
        try:
            yield replace(call, caller="ali")
        finally:
            self.inside -= 1


async def refusal(call: Any) -> Exception:
    """What a call is told."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


async def test_who_is_let_in_is_who_the_guard_says() -> None:
    guard, callers = Guard(), []

    async def encode(_: text_encoding_pb2.EncodeTextRequest) -> text_encoding_pb2.EncodeTextResponse:
        callers.append((current_call().caller, guard.inside))
        return text_encoding_pb2.EncodeTextResponse()

    async with serving(encode, access=guard) as (_, channel):
        await stub(channel).EncodeText(request("a"), metadata=(*OPEN, ("diptych-caller", "somebody")))
        assert callers == [("ali", 1)]
        assert guard.asked == [(METHOD, "")]
        assert guard.inside == 0
        assert isinstance(await refusal(stub(channel).EncodeText(request("a"))), UnauthenticatedError)
        assert callers == [("ali", 1)]


async def test_call_counts_until_it_ends_however_it_ends() -> None:
    guard, arrived, gate = Guard(), asyncio.Event(), asyncio.Event()

    async def encode(_: text_encoding_pb2.EncodeTextRequest) -> text_encoding_pb2.EncodeTextResponse:
        arrived.set()
        await gate.wait()
        raise ZeroDivisionError

    async with serving(encode, access=guard) as (_, channel):
        for end in (gate.set, None):
            arrived.clear()
            gate.clear()
            first = asyncio.ensure_future(stub(channel).EncodeText(request("a"), metadata=OPEN))
            await arrived.wait()
            assert isinstance(await refusal(stub(channel).EncodeText(request("b"), metadata=OPEN)), OverloadedError)
            end() if end is not None else first.cancel()
            await asyncio.wait([first])
            async with asyncio.timeout(20):
                while guard.inside:
                    await asyncio.sleep(0.01)


async def test_message_of_who_is_not_let_in_is_never_read() -> None:
    guard = Guard()
    settings = ServerSettings(max_message_bytes=1024)
    async with serving(settings=settings, access=guard) as (server, _):
        async with open_channel(f"127.0.0.1:{server.port}", max_message_bytes=8 << 20) as channel:
            large = request("x" * (4 << 20))
            stranger = await refusal(stub(channel).EncodeText(large))
            assert isinstance(stranger, UnauthenticatedError)
            known = await refusal(stub(channel).EncodeText(large, metadata=OPEN))
            assert isinstance(known, OverloadedError) and "larger than max" in str(known)
            assert guard.inside == 0


async def test_caller_who_leaves_before_the_message_is_gone_is_counted_out() -> None:
    guard = Guard()
    registry = CollectorRegistry()
    async with serving(registry=registry, access=guard) as (_, channel):
        upload: Any = channel.stream_unary(f"/{METHOD}")(metadata=OPEN)
        async with asyncio.timeout(20):
            while not guard.inside:
                await asyncio.sleep(0.01)
            upload.cancel()
            while guard.inside:
                await asyncio.sleep(0.01)
        ended = registry.get_sample_value("diptych_rpc_requests_total", {"method": METHOD, "code": "CANCELLED"})
        assert ended == 1


async def test_health_and_reflection_ask_nobody() -> None:
    guard = Guard()
    async with serving(access=guard) as (_, channel):
        health: Any = health_pb2_grpc.HealthStub(channel)
        await health.Check(health_pb2.HealthCheckRequest())
        assert await reflects(channel)
        assert guard.asked == []


async def reflects(channel: grpc.aio.Channel) -> bool:
    """Whether the server offers reflection."""
    # Not by the stub: grpc.aio ends a stream as INTERNAL when the answer overtakes what is still to be sent.
    ask = channel.unary_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    try:
        async for _ in ask(reflection_pb2.ServerReflectionRequest(list_services="")):
            return True
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
            raise
    return False


@pytest.mark.parametrize(
    ("settings", "offered"),
    [
        (ServerSettings(), True),
        (ServerSettings(reflection=False), False),
        (ServerSettings(host="0.0.0.0", allow_insecure=True), False),
        (ServerSettings(host="0.0.0.0", allow_insecure=True, reflection=True), True),
    ],
)
async def test_reflection_is_for_this_machine_unless_said_otherwise(settings: ServerSettings, offered: bool) -> None:
    async with serving(empty_answer, settings=settings) as (_, channel):
        assert await reflects(channel) is offered


def test_server_that_others_reach_is_not_made_without_protection() -> None:
    with pytest.raises(ConfigurationError, match=r"DIPTYCH_HOST is 0\.0\.0\.0"):
        Server(ServerSettings(host="0.0.0.0"), CollectorRegistry(), services=[])
