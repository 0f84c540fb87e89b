"""The order of waiting requests, and the count of their items."""

from __future__ import annotations

import asyncio

import pytest

from shared.inference.request_queue import Request, RequestQueue

Queue = RequestQueue[str, int, None]


@pytest.fixture
def queue() -> Queue:
    return RequestQueue(("fast", "slow"))


async def added(queue: Queue, lane: str, *, turn: float, items: int = 1) -> Request[str, int, None]:
    request = Request(range(items), asyncio.Future[None](), lane=lane, arrived=0.0, turn=turn, deadline=0.0)
    queue.add(request)
    return request


async def test_an_empty_queue_has_no_first(queue: Queue) -> None:
    assert queue.first() is None


async def test_the_earliest_turn_of_all_lanes_is_first(queue: Queue) -> None:
    late, early = await added(queue, "fast", turn=2.0), await added(queue, "slow", turn=1.0)
    assert queue.first() is early
    queue.take(early, 1)
    assert queue.first() is late


async def test_a_request_stays_until_its_last_item_is_taken(queue: Queue) -> None:
    request = await added(queue, "fast", turn=0.0, items=3)
    queue.take(request, 2)
    assert (queue.first(), queue.depth, request.waiting) == (request, 1, 1)
    queue.take(request, 1)
    assert (queue.first(), queue.depth, request.waiting) == (None, 0, 0)


async def test_a_request_leaves_from_the_middle(queue: Queue) -> None:
    first, middle, last = [await added(queue, "fast", turn=turn) for turn in (1.0, 2.0, 3.0)]
    queue.take(middle, 1)
    assert queue.all() == [first, last]


async def test_another_lane_is_ahead_once_its_first_request_is(queue: Queue) -> None:
    await added(queue, "fast", turn=1.0, items=2)
    await added(queue, "slow", turn=5.0, items=10)
    assert queue.depth_before("fast", 4.0) == 2
    assert queue.depth_before("fast", 6.0) == 12
