"""A full queue refuses at once and says when to come back; who was admitted is answered."""

from __future__ import annotations

import asyncio

import grpc

from tests.end_to_end.calls import Connect, encode, refusal
from tests.end_to_end.conftest import Platform
from tests.end_to_end.frozen import admitted, frozen_model
from tests.end_to_end.servers import Launcher

TEXTS = 64
"""Of one call; the queue of the text service takes 256."""
BATCH = 2 * 16
"""What the model has: two full batches of the tiny text encoder, the second handed over when the first should end."""


async def test_full_queue_refuses_the_next_call_whole_with_a_time_to_retry(
    platform: Platform, connect: Connect
) -> None:
    stubs = connect(platform.text)
    texts = [f"{number} cats" for number in range(TEXTS)]
    before = platform.text.metrics().total("diptych_rejected_total", reason="queue_full")
    with frozen_model(platform.text):
        calls = [encode(stubs, *texts)]
        await admitted(platform.text, in_batch=BATCH, waiting=TEXTS - BATCH)
        calls += [encode(stubs, *texts) for _ in range(3)]
        await admitted(platform.text, in_batch=BATCH, waiting=4 * TEXTS - BATCH)

        end = await refusal(encode(stubs, *texts))

        assert end.code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "256" in end.message
        assert end.retry_seconds is not None
        assert end.retry_seconds > 0
    answers = await asyncio.gather(*calls)

    assert [len(answer.encodings) for answer in answers] == [TEXTS] * 4
    assert platform.text.metrics().total("diptych_rejected_total", reason="queue_full") == before + 1


async def test_queue_that_one_caller_fills_makes_room_for_another(platform: Platform, connect: Connect) -> None:
    stubs = connect(platform.text)
    texts = [f"{number} cats" for number in range(TEXTS)]
    with frozen_model(platform.text):
        calls = [encode(stubs, *texts, caller="greedy")]
        await admitted(platform.text, in_batch=BATCH, waiting=TEXTS - BATCH)
        for number in range(3):
            calls.append(encode(stubs, *texts, caller="greedy"))
            await admitted(platform.text, in_batch=BATCH, waiting=(number + 2) * TEXTS - BATCH)

        modest = encode(stubs, *texts[:50], caller="modest")
        end = await refusal(calls.pop())

        assert end.code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert end.reason == "QUEUE_FULL"
        assert end.retry_seconds is not None
        assert end.retry_seconds > 0
        await admitted(platform.text, in_batch=BATCH, waiting=3 * TEXTS + 50 - BATCH)
    assert len((await modest).encodings) == 50
    assert [len(answer.encodings) for answer in await asyncio.gather(*calls)] == [TEXTS] * 3


async def test_queue_is_bounded_in_bytes(light_launcher: Launcher, connect: Connect) -> None:
    server = light_launcher.service("text", max_queue_bytes=1024)
    await asyncio.to_thread(server.wait_serving)
    stubs = connect(server)
    with frozen_model(server):
        first = encode(stubs, "a cat")
        await admitted(server, in_batch=1, waiting=0)
        second = encode(stubs, "a dog " * 80)
        await admitted(server, in_batch=1, waiting=1)

        end = await refusal(encode(stubs, "a hut " * 80, "a hut " * 80))

        assert end.code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert end.reason == "QUEUE_FULL"
        assert "bytes" in end.message
        assert "1024" in end.message
    assert len((await asyncio.gather(first, second))[1].encodings) == 1
