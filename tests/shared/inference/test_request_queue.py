"""Who is next, who waits before whom, and the count of items; requests are named by number."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from shared.inference.request import Priority, Request
from shared.inference.request_queue import RequestQueue

Queue = RequestQueue[int, None]


@pytest.fixture
def queue() -> Queue:
    return RequestQueue()


@pytest.fixture(autouse=True)
def loop() -> Iterator[None]:
    """Futures want one; nothing runs on it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


def added(
    queue: Queue,
    caller: str = "",
    *,
    items: int = 1,
    priority: Priority = Priority.INTERACTIVE,
    kind: str | None = None,
    size: int = 0,
) -> Request[int, None]:
    request: Request[int, None] = Request(
        range(items),
        asyncio.get_event_loop().create_future(),
        priority=priority,
        caller=caller,
        kind=kind,
        size=size,
        arrived=0.0,
        deadline=0.0,
    )
    queue.add(request)
    return request


def served(queue: Queue, count: int = 1000) -> str:
    """The callers of the next items, one letter each."""
    callers = ""
    while len(callers) < count and (request := queue.first()) is not None:
        callers += request.caller or request.priority.name[0]
        queue.take(request, 1)
    return callers


class TestCount:
    def test_an_empty_queue_has_no_first(self, queue: Queue) -> None:
        assert queue.first() is None
        assert queue.all() == []

    def test_a_request_stays_until_its_last_item_is_taken(self, queue: Queue) -> None:
        request = added(queue, items=3, size=30)
        queue.take(request, 2)
        assert (queue.first(), queue.depth, queue.size, request.waiting) == (request, 1, 30, 1)
        queue.take(request, 1)
        assert (queue.first(), queue.depth, queue.size, request.waiting) == (None, 0, 0, 0)

    def test_a_request_leaves_from_the_middle(self, queue: Queue) -> None:
        first, middle, last = [added(queue) for _ in range(3)]
        queue.remove(middle)
        assert queue.all() == [first, last]
        assert queue.depth == 2

    def test_items_are_counted_by_kind_while_there_are_any(self, queue: Queue) -> None:
        added(queue, items=3, kind="heavy")
        light = added(queue, items=2, kind="light")
        assert queue.depths == {"heavy": 3, "light": 2}
        queue.remove(light)
        assert queue.depths == {"heavy": 3}


class TestCallers:
    def test_one_caller_is_served_in_the_order_of_arrival(self, queue: Queue) -> None:
        requests = [added(queue, "a", items=items) for items in (3, 1, 2)]
        order = []
        while (request := queue.first()) is not None:
            order.append(request)
            queue.take(request, request.waiting)
        assert order == requests

    def test_callers_take_turns(self, queue: Queue) -> None:
        for caller in "aaabbbccc":
            added(queue, caller)
        assert served(queue) == "abcabcabc"

    def test_a_caller_with_little_goes_before_the_backlog_of_one_with_much(self, queue: Queue) -> None:
        for _ in range(50):
            added(queue, "h")
        assert served(queue, 10) == "h" * 10
        added(queue, "l")
        added(queue, "l")
        assert served(queue, 6) == "hlhlhh"

    def test_a_share_is_counted_in_items_and_not_in_requests(self, queue: Queue) -> None:
        for _ in range(4):
            added(queue, "h", items=4)
        for _ in range(8):
            added(queue, "l")
        assert served(queue, 16) == "lllhhhhllllhhhhl"

    def test_callers_that_come_and_go_do_not_starve_one_that_stays(self, queue: Queue) -> None:
        """Each of the others has one request at a time and brings the next as soon as it is served."""
        for _ in range(20):
            added(queue, "h")
        for caller in "abc":
            added(queue, caller)
        order = ""
        for _ in range(40):
            caller = served(queue, 1)
            order += caller
            if caller != "h":
                added(queue, caller)
        assert 9 <= order.count("h") <= 11

    def test_names_that_are_new_each_time_do_not_starve_one_that_stays(self, queue: Queue) -> None:
        for _ in range(20):
            added(queue, "h")
        order = ""
        for number in range(60):
            added(queue, chr(ord("가") + number))
            added(queue, chr(ord("가") + 1000 + number))
            order += served(queue, 1)
        assert order.count("h") >= 5

    def test_what_was_cancelled_is_not_held_against_its_caller(self, queue: Queue) -> None:
        for _ in range(50):
            added(queue, "h")
        last = added(queue, "l")
        for _ in range(30):
            following = added(queue, "l")
            queue.remove(last)
            last = following
        assert "l" in served(queue, 2)

    def test_only_callers_that_wait_are_remembered(self, queue: Queue) -> None:
        for number in range(100):
            request = added(queue, f"caller {number}")
            queue.take(request, 1) if number % 2 else queue.remove(request)
        assert [len(queue.flows(priority)) for priority in Priority] == [0, 0]


class TestPriorities:
    def test_people_go_before_jobs(self, queue: Queue) -> None:
        for priority in [Priority.BATCH, Priority.INTERACTIVE] * 3:
            added(queue, priority=priority)
        assert served(queue) == "IIIBBB"

    def test_while_both_wait_jobs_get_a_tenth(self, queue: Queue) -> None:
        for _ in range(100):
            added(queue, priority=Priority.INTERACTIVE)
            added(queue, priority=Priority.BATCH)
        assert served(queue, 100).count("B") == 10

    def test_neither_owes_for_what_it_had_while_the_other_was_away(self, queue: Queue) -> None:
        for _ in range(200):
            added(queue, priority=Priority.BATCH)
        served(queue, 100)
        for _ in range(100):
            added(queue, priority=Priority.INTERACTIVE)
        assert served(queue, 50).count("B") == 5


class TestKinds:
    def test_the_next_of_a_kind_passes_over_the_others(self, queue: Queue) -> None:
        added(queue, "a", kind="heavy")
        second, third = added(queue, "a", kind="light"), added(queue, "b", kind="light")
        assert queue.first_of("light") is second
        queue.take(second, 1)
        assert queue.first_of("light") is third
        queue.take(third, 1)
        assert queue.first_of("light") is None
        assert queue.first_of("unheard of") is None

    def test_the_oldest_of_a_caller_decides_when_it_is_next(self, queue: Queue) -> None:
        heavy = added(queue, kind="heavy")
        light = added(queue, kind="light")
        assert queue.first() is heavy
        queue.take(heavy, 1)
        assert queue.first() is light


class TestBefore:
    def test_of_ones_own_all_are_before(self, queue: Queue) -> None:
        added(queue, "a", items=10)
        assert queue.before(Priority.INTERACTIVE, "a", 1) == 10

    def test_of_others_as_many_as_one_has_then(self, queue: Queue) -> None:
        added(queue, "h", items=100)
        added(queue, "m", items=3)
        assert queue.before(Priority.INTERACTIVE, "l", 1) == 2
        assert queue.before(Priority.INTERACTIVE, "l", 5) == 5 + 3
        added(queue, "l", items=4)
        assert queue.before(Priority.INTERACTIVE, "l", 1) == 4 + 5 + 3

    def test_of_the_other_priority_its_share(self, queue: Queue) -> None:
        added(queue, priority=Priority.BATCH, items=100)
        assert queue.before(Priority.INTERACTIVE, "", 9) == 1
        added(queue, priority=Priority.INTERACTIVE, items=30)
        assert queue.before(Priority.BATCH, "l", 1) == 1 + 18
        assert queue.before(Priority.BATCH, "", 1) == 100 + 30

    def test_it_is_exact_when_nobody_else_comes(self, queue: Queue) -> None:
        for caller, items in (("a", 7), ("b", 2), ("c", 30), ("d", 1)):
            for _ in range(items):
                added(queue, caller)
        before = queue.before(Priority.INTERACTIVE, "e", 3)
        for _ in range(3):
            added(queue, "e")
        assert served(queue).rindex("e") == before + 2
