"""SIGTERM under load: what a service accepted it answers, what it refuses says UNAVAILABLE, and nothing hangs."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from typing import Any

import grpc
import pytest

from diptych.gateway.v1 import gateway_pb2
from tests.end_to_end.calls import Connect, Stubs, encode, generate, refusal, text_encoding, until
from tests.end_to_end.conftest import Platform
from tests.end_to_end.frozen import admitted, frozen_model
from tests.end_to_end.servers import NOT_SERVING, Launcher

CALLERS = 8


async def test_calls_accepted_before_sigterm_are_answered_and_later_ones_refused(
    light_launcher: Launcher, connect: Connect
) -> None:
    server = light_launcher.service("text")
    await asyncio.to_thread(server.wait_serving)
    stubs = connect(server)
    with frozen_model(server):
        accepted = [encode(stubs, "a cat")]
        await admitted(server, in_batch=1, waiting=0)
        accepted += [encode(stubs, f"{number} cats") for number in range(20)]
        await admitted(server, in_batch=1, waiting=20)
        server.popen.send_signal(signal.SIGTERM)
        await until(lambda: server.health() == NOT_SERVING, "the service drains")

        await until(lambda: refused_now(server.address), "new calls are refused")
        late = await refusal(encode(stubs, "a dog"))
        assert late.code == grpc.StatusCode.UNAVAILABLE
        assert not any(call.done() for call in accepted)
    answers = await asyncio.gather(*accepted)

    assert all(answer.encodings for answer in answers)
    assert await asyncio.to_thread(server.wait_ended) == 0


def refused_now(address: str) -> bool:
    """Whether a server that is alive refuses calls."""
    with grpc.insecure_channel(address) as channel:
        method: Any = channel.unary_unary("/diptych.text.v1.TextEncodingService/EncodeText")
        try:
            method(b"", timeout=10.0)
        except grpc.RpcError as error:
            return bool(error.code() == grpc.StatusCode.UNAVAILABLE)
    return False


async def test_steady_traffic_at_sigterm_ends_ok_or_unavailable_and_the_service_with_0(
    launcher: Launcher, platform: Platform, connect: Connect
) -> None:
    server = launcher.service("generation")
    await asyncio.to_thread(server.wait_serving)
    encoding = await text_encoding(connect(platform.text))
    ends: Counter[str] = Counter()

    async def call_until_refused(stubs: Stubs) -> None:
        while True:
            try:
                answer = await generate(stubs, encoding, 1, 2)
            except grpc.aio.AioRpcError as error:
                ends[error.code().name] += 1
                return
            assert len(answer.images) == 2
            ends["OK"] += 1

    async with asyncio.TaskGroup() as tasks:
        for _ in range(CALLERS):
            tasks.create_task(call_until_refused(connect(server)))
        await until(lambda: ends["OK"] > 5 * CALLERS, "traffic flows")
        server.popen.send_signal(signal.SIGTERM)

    assert ends.keys() == {"OK", "UNAVAILABLE"}, ends
    assert ends["UNAVAILABLE"] == CALLERS
    assert await asyncio.to_thread(server.wait_ended) == 0


async def test_sigterm_twice_does_not_cut_the_drain_short(light_launcher: Launcher, connect: Connect) -> None:
    server = light_launcher.service("text")
    await asyncio.to_thread(server.wait_serving)
    with frozen_model(server):
        accepted = encode(connect(server), "a cat")
        await admitted(server, in_batch=1, waiting=0)
        server.popen.send_signal(signal.SIGTERM)
        await until(lambda: server.health() == NOT_SERVING, "the service drains")
        server.popen.send_signal(signal.SIGTERM)

    assert (await accepted).encodings
    assert await asyncio.to_thread(server.wait_ended) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
async def test_no_call_of_the_gateway_fails_when_one_of_two_replicas_gets(
    number: signal.Signals, light_launcher: Launcher, platform: Platform, connect: Connect
) -> None:
    doomed = light_launcher.service("text")
    await asyncio.to_thread(doomed.wait_serving)
    gateway = light_launcher.gateway(platform.targets(text=f"{platform.text.address},{doomed.address}"))
    await asyncio.to_thread(gateway.wait_serving)
    method = "diptych_rpc_requests_total"
    await until(
        lambda: gateway.metrics().total("diptych_replicas", service="text", state="serving") == 2, "both replicas serve"
    )
    calls, stopping = 0, False

    async def call_steadily(stubs: Stubs, caller: int) -> None:
        nonlocal calls
        while not stopping:
            request = gateway_pb2.EncodeTextRequest(texts=[f"a cat {caller}"])  # equal ones at one time would be one
            answer = await stubs.gateway.EncodeText(request, timeout=30.0)
            assert answer.encodings
            calls += 1

    async with asyncio.TaskGroup() as tasks:
        for caller in range(CALLERS):
            tasks.create_task(call_steadily(connect(gateway), caller))
        await until(lambda: doomed.metrics().total(method, code="OK") > 2 * CALLERS, "the doomed replica has traffic")
        doomed.popen.send_signal(number)
        code = await asyncio.to_thread(doomed.wait_ended)
        before = calls
        await until(lambda: calls > before + 5 * CALLERS, "traffic flows on")
        stopping = True

    assert code == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    assert gateway.metrics().total(method) == gateway.metrics().total(method, code="OK") == calls
