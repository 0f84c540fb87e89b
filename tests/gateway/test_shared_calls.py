"""Equal calls at one time, over real sockets: the work is done once, and lives as long as its last waiter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import grpc
import pytest
import pytest_asyncio

from diptych.gateway.v1 import gateway_pb2
from shared.codes import Reason
from shared.errors import InternalError, InvalidArgumentError, OverloadedError
from shared.rpc import metadata
from shared.rpc.status import from_rpc_error
from tests.gateway.fake_platform import Platform
from tests.gateway.sharing import (
    LONG,
    PICTURE,
    Joined,
    ask,
    held,
    held_calls,
    nothing_is_under_way,
    services_are_known,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def _known(platform: Platform) -> None:
    await services_are_known(platform)


def _paint(platform: Platform, *entries: tuple[str, str], timeout: float = LONG) -> Callable[[], Awaitable[Any]]:
    return partial(ask, platform.stub.TextToImage, PICTURE, timeout, *entries)


async def test_fifty_equal_calls_at_once_reach_each_service_once(platform: Platform) -> None:
    joined = Joined(platform, "text")
    async with held(platform.text[0]):
        calls = [asyncio.ensure_future(_paint(platform)()) for _ in range(50)]
        await joined.are(49)
    async with asyncio.timeout(LONG):
        answers = await asyncio.gather(*calls)
    assert len(platform.text[0].calls) == len(platform.generation[0].calls) == 1
    assert {(each.images[0].seed, each.images[0].image.data) for each in answers} == {
        (7, answers[0].images[0].image.data)
    }
    await nothing_is_under_way(platform)


async def test_equal_pictures_are_looked_at_once(platform: Platform) -> None:
    request = gateway_pb2.ImageToTextRequest(images=[b"x" * 5000, b"y"], language="zh")
    async with held(platform.classification[0]):
        calls = await held_calls(platform, "classification", [partial(ask, platform.stub.ImageToText, request)] * 3)
    answers = await asyncio.gather(*calls)
    assert len(platform.classification[0].calls) == len(platform.captioning[0].calls) == 1
    assert [answer.descriptions[0].captions[0].text for answer in answers] == ["zh: 5000 bytes"] * 3


@pytest.mark.parametrize(
    "other",
    [
        gateway_pb2.ClassifyImageRequest(images=[b"x" * 2000 + b"z" + b"x" * 3000]),
        gateway_pb2.ClassifyImageRequest(images=[b"x" * 5001], top_k=2),
        gateway_pb2.ClassifyImageRequest(images=[b"x" * 5001], language="zh"),
        gateway_pb2.ClassifyImageRequest(images=[b"x" * 5001, b"x" * 5001]),
    ],
    ids=["one byte", "top_k", "language", "twice"],
)
async def test_calls_that_differ_in_anything_are_each_made(
    platform: Platform, other: gateway_pb2.ClassifyImageRequest
) -> None:
    request = gateway_pb2.ClassifyImageRequest(images=[b"x" * 5001])
    async with held(platform.classification[0]):
        calls = [asyncio.ensure_future(ask(platform.stub.ClassifyImage, each)) for each in (request, other)]
        await until(lambda: len(platform.classification[0].calls) == 2)
    await asyncio.gather(*calls)


async def test_calls_without_a_seed_share_only_the_encoding(platform: Platform) -> None:
    request = gateway_pb2.TextToImageRequest(prompt="a cat")
    async with held(platform.text[0]):
        calls = await held_calls(platform, "text", [partial(ask, platform.stub.TextToImage, request)] * 4)
    seeds = {answer.images[0].seed for answer in await asyncio.gather(*calls)}
    assert (len(platform.text[0].calls), len(platform.generation[0].calls), len(seeds)) == (1, 4, 4)


async def test_first_callers_cancel_does_not_hit_the_others(platform: Platform) -> None:
    async with held(platform.generation[0]):
        first, *others = await held_calls(platform, "generation", [_paint(platform)] * 3)
        first.cancel()
        await asyncio.sleep(0.1)
        assert not platform.generation[0].behaviour.cancelled.is_set()
    answers = await asyncio.gather(*others)
    assert [answer.images[0].seed for answer in answers] == [7, 7]
    assert len(platform.generation[0].calls) == 1
    await nothing_is_under_way(platform)


async def test_last_callers_cancel_ends_the_work_at_the_replica(platform: Platform) -> None:
    async with held(platform.generation[0]):
        calls = await held_calls(platform, "generation", [_paint(platform)] * 3)
        for call in calls:
            call.cancel()
        await asyncio.wait_for(platform.generation[0].behaviour.cancelled.wait(), LONG)
    await nothing_is_under_way(platform)


async def test_cancelled_work_is_not_joined(platform: Platform) -> None:
    async with held(platform.generation[0]):
        [call] = await held_calls(platform, "generation", [_paint(platform)])
        call.cancel()
        await asyncio.wait_for(platform.generation[0].behaviour.cancelled.wait(), LONG)
    assert (await _paint(platform)()).images[0].seed == 7


async def test_short_deadline_of_the_first_does_not_fail_the_second(platform: Platform) -> None:
    async with held(platform.generation[0]):
        first, second = await held_calls(platform, "generation", [_paint(platform, timeout=1.5), _paint(platform)])
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await first
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await until(lambda: len(platform.generation[0].calls) == 2)
    assert (await second).images[0].seed == 7
    remaining = platform.generation[0].calls[1].remaining_seconds
    assert remaining is not None and remaining > 5
    await nothing_is_under_way(platform)


async def test_second_with_a_short_deadline_leaves_at_its_own(platform: Platform) -> None:
    async with held(platform.generation[0]):
        first, second = await held_calls(platform, "generation", [_paint(platform), _paint(platform, timeout=1.5)])
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await second
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (await first).images[0].seed == 7
    assert len(platform.generation[0].calls) == 1


@pytest.mark.parametrize("error", [InvalidArgumentError, InternalError])
async def test_error_of_the_work_is_everybodys(
    platform: Platform, error: type[InvalidArgumentError | InternalError]
) -> None:
    platform.generation[0].behaviour.error = lambda: error("encoding is odd", reason=Reason.DEFECT)
    async with held(platform.generation[0]):
        calls = await held_calls(platform, "generation", [_paint(platform)] * 3)
    ends = await asyncio.gather(*calls, return_exceptions=True)
    told = [from_rpc_error(end) for end in ends if isinstance(end, grpc.aio.AioRpcError)]
    assert [(each.code, each.reason) for each in told] == [(error.code, Reason.DEFECT)] * 3
    assert len({str(each) for each in told}) == 1
    assert len(platform.generation[0].calls) == 1


async def test_caller_with_a_share_left_is_asked_for_anew_when_another_is_refused(platform: Platform) -> None:
    def refuse_the_greedy() -> OverloadedError | None:
        greedy = platform.generation[0].calls[-1].context.caller == "greedy"
        return OverloadedError("queue is full", reason=Reason.QUEUE_FULL) if greedy else None

    platform.generation[0].behaviour.error = refuse_the_greedy
    async with held(platform.generation[0]):
        calls = await held_calls(
            platform, "generation",
            [_paint(platform, (metadata.CALLER, "greedy")), _paint(platform, (metadata.CALLER, "modest"))],
        )  # fmt: skip
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await calls[0]
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await calls[1]).images[0].seed == 7
    assert [call.context.caller for call in platform.generation[0].calls] == ["greedy", "modest"]


async def test_interactive_call_does_not_wait_in_the_place_of_a_batch_call(platform: Platform) -> None:
    joined = Joined(platform, "generation")
    async with held(platform.generation[0]):
        calls = []
        for count, priority in enumerate(["batch", "interactive"]):
            calls.append(asyncio.ensure_future(_paint(platform, (metadata.PRIORITY, priority))()))
            await until(lambda count=count: len(platform.generation[0].calls) == count + 1)  # type: ignore[misc]
        calls.append(asyncio.ensure_future(_paint(platform, (metadata.PRIORITY, "batch"))()))
        await joined.are(1)
    await asyncio.gather(*calls)
    assert [call.context.priority for call in platform.generation[0].calls] == ["batch", "interactive"]


async def test_work_carries_the_id_of_who_began_it(platform: Platform) -> None:
    async with held(platform.generation[0]):
        calls = await held_calls(
            platform, "generation",
            [_paint(platform, (metadata.REQUEST_ID, "one")), _paint(platform, (metadata.REQUEST_ID, "two"))],
        )  # fmt: skip
    await asyncio.gather(*calls)
    assert [call.context.request_id for call in platform.generation[0].calls] == ["one"]
