"""A full queue refuses at once and says when to come back; who was admitted is answered."""

from __future__ import annotations

import asyncio

import grpc

from tests.end_to_end.calls import Connect, encode, refusal
from tests.end_to_end.conftest import Platform
from tests.end_to_end.frozen import admitted, frozen_model

TEXTS = 64
"""Of one call; the queue of the text service takes 256."""
BATCH = 16
"""Of the tiny text encoder, at most."""


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
