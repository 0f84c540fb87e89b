"""What a caller sees of errors, context and trailers, through a real socket."""

from __future__ import annotations

import asyncio
import json
import types
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from diptych.text.v1 import text_encoding_pb2
from shared.errors import InvalidArgumentError, OverloadedError, UnavailableError
from shared.rpc import metadata
from shared.rpc.context import CallContext, current_call, outgoing_metadata, remaining_seconds
from shared.rpc.status import from_rpc_error
from tests.garbage import garbage
from tests.shared.rpc.serving import METHOD, empty_answer, request, serving, stub

Request = text_encoding_pb2.EncodeTextRequest
Response = text_encoding_pb2.EncodeTextResponse


def count(registry: CollectorRegistry, code: str) -> float | None:
    return registry.get_sample_value("diptych_rpc_requests_total", {"method": METHOD, "code": code})


async def test_servicer_sees_id_caller_priority_and_deadline_of_the_call() -> None:
    seen: list[CallContext] = []

    async def look(_: Request) -> Response:
        seen.append(current_call())
        left = remaining_seconds()
        assert left is not None
        assert 0 < left < 8  # the wire rounds up
        assert ("x-request-id", "r1") in outgoing_metadata()
        return Response()

    entries = [(metadata.REQUEST_ID, "r1"), (metadata.CALLER, "shop"), (metadata.PRIORITY, "batch")]
    async with serving(look) as (_, channel):
        await stub(channel).EncodeText(request("a"), timeout=7, metadata=entries)
    assert (seen[0].request_id, seen[0].caller, seen[0].priority) == ("r1", "shop", "batch")


async def test_answers_carry_the_request_id_and_the_servers_trailers() -> None:
    async with serving(trailing=lambda: ((metadata.QUEUE_SECONDS, "0.25"),)) as (_, channel):
        call = stub(channel).EncodeText(request("a"), timeout=5, metadata=[(metadata.REQUEST_ID, "r2")])
        await call
        trailers = await call.trailing_metadata()
    assert trailers[metadata.REQUEST_ID] == "r2"
    assert trailers[metadata.QUEUE_SECONDS] == "0.25"


async def test_invalid_argument_arrives_with_its_field() -> None:
    async def refuse(_: Request) -> Response:
        raise InvalidArgumentError("texts[3] is blank", field="texts[3]")

    registry = CollectorRegistry()
    async with serving(refuse, registry) as (_, channel):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub(channel).EncodeText(request("a"), timeout=5)
    error = from_rpc_error(caught.value)
    assert isinstance(error, InvalidArgumentError)
    assert (error.field, str(error)) == ("texts[3]", "texts[3] is blank")
    assert count(registry, "INVALID_ARGUMENT") == 1


async def test_overloaded_arrives_with_its_retry_time() -> None:
    async def refuse(_: Request) -> Response:
        raise OverloadedError("queue is full", retry_after_seconds=0.75)

    async with serving(refuse) as (_, channel):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub(channel).EncodeText(request("a"), timeout=5)
    error = from_rpc_error(caught.value)
    assert isinstance(error, OverloadedError)
    assert error.retry_after_seconds == pytest.approx(0.75)


async def test_a_refused_call_leaves_no_error_and_no_request_to_the_garbage_collector() -> None:
    async def refuse(_: Request) -> Response:
        raise InvalidArgumentError("no")

    async with serving(refuse) as (_, channel):
        with garbage() as found:
            for _ in range(3):
                with pytest.raises(grpc.aio.AioRpcError):
                    await stub(channel).EncodeText(request("a"), timeout=5)
    assert not [each for each in found if isinstance(each, InvalidArgumentError | Request | types.FrameType)]


async def test_a_refused_call_is_retried_by_a_clients_own_policy() -> None:
    """They retry a status that comes alone, and none that follows an answer, even an empty one."""
    policy = {
        "maxAttempts": 3,
        "initialBackoff": "0.01s",
        "maxBackoff": "0.01s",
        "backoffMultiplier": 1,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    config = json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": policy}]})
    calls = 0

    async def refuse_twice(_: Request) -> Response:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise UnavailableError("not now")
        return Response()

    async with serving(refuse_twice) as (server, _):
        target = f"127.0.0.1:{server.port}"
        async with grpc.aio.insecure_channel(target, [("grpc.service_config", config)]) as channel:
            await stub(channel).EncodeText(request("a"), timeout=5)
    assert calls == 3


async def test_an_unexpected_exception_is_internal_and_keeps_its_text_to_itself() -> None:
    async def break_down(_: Request) -> Response:
        raise RuntimeError("secret of the house")

    async with serving(break_down) as (_, channel):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub(channel).EncodeText(request("a"), timeout=5)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in (caught.value.details() or "")


async def test_bytes_that_are_no_message_are_an_invalid_argument() -> None:
    async with serving() as (_, channel):
        raw: Any = channel.unary_unary(f"/{METHOD}")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await raw(b"\x0a\x02\xff\xfe", timeout=5)  # texts[0] = two bytes that are not UTF-8
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_refusal_carries_the_request_id_too() -> None:
    async with serving() as (_, channel):
        entries = [(metadata.PRIORITY, "urgent"), (metadata.REQUEST_ID, "r3")]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub(channel).EncodeText(request("a"), timeout=5, metadata=entries)
    assert caught.value.trailing_metadata()[metadata.REQUEST_ID] == "r3"


async def test_unknown_priority_is_refused_by_name() -> None:
    async with serving() as (_, channel):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub(channel).EncodeText(request("a"), timeout=5, metadata=[(metadata.PRIORITY, "urgent")])
    error = from_rpc_error(caught.value)
    assert isinstance(error, InvalidArgumentError)
    assert error.field == metadata.PRIORITY
    assert "urgent" in str(error)


@pytest.mark.parametrize(("timeout", "code"), [(0.2, "DEADLINE_EXCEEDED"), (None, "CANCELLED")])
async def test_a_caller_that_leaves_cancels_the_servicer_and_is_counted(timeout: float | None, code: str) -> None:
    arrived, cancelled = asyncio.Event(), asyncio.Event()

    async def hold(_: Request) -> Response:
        arrived.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return Response()

    registry = CollectorRegistry()
    async with serving(hold, registry) as (_, channel):
        call = stub(channel).EncodeText(request("a"), timeout=timeout)
        waiting = asyncio.ensure_future(call)
        await asyncio.wait_for(arrived.wait(), 5)
        if timeout is None:
            call.cancel()
        await asyncio.wait_for(cancelled.wait(), 5)
        with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
            await waiting
        await asyncio.sleep(0.05)
        assert count(registry, code) == 1
        assert registry.get_sample_value("diptych_rpc_in_flight", {"method": METHOD}) == 0


async def test_a_thousand_calls_leave_no_call_in_flight() -> None:
    registry = CollectorRegistry()
    async with serving(empty_answer, registry) as (_, channel):
        await asyncio.gather(*(stub(channel).EncodeText(request("a"), timeout=30) for _ in range(1000)))
        assert count(registry, "OK") == 1000
        assert registry.get_sample_value("diptych_rpc_in_flight", {"method": METHOD}) == 0
