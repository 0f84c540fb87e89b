"""Random arrivals, cancels, deadlines and refusals, in virtual time: every waiter gets the right end exactly once."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from gateway.shared_calls import LEAVE_SECONDS, SharedCalls
from shared.errors import CallError, DeadlineExceededError, InvalidArgumentError, OverloadedError
from shared.metrics import DownstreamMetrics
from shared.rpc.context import PRIORITIES, CallContext, current_call, enter_call
from tests.virtual_time import run_in_virtual_time

SOON = 1e-6
"""Seconds between two things that happen at once."""


@dataclass(frozen=True)
class Arrival:
    """A caller of work `key`; times are in seconds, None is never."""

    key: int
    at: float
    timeout: float | None
    cancel_after: float | None
    caller: str
    priority: str


@dataclass(frozen=True)
class Work:
    """What a service does for a key: it takes its time, may refuse the work itself, a caller, or too little time."""

    seconds: float
    invalid: bool
    refused_caller: str
    refuses_at_once: bool
    """Whether a deadline that is too short is refused at arrival, or passes."""


@dataclass
class Attempt:
    """One call that reached the service."""

    key: int
    terms: CallContext
    begin: float
    end: float | None = None
    error: CallError | None = None


@dataclass
class Service:
    """Answers a key with its number; notes each attempt."""

    works: list[Work]
    attempts: list[Attempt] = field(default_factory=list)

    async def answer(self, key: int) -> int:
        loop = asyncio.get_running_loop()
        attempt = Attempt(key, current_call(), loop.time())
        self.attempts.append(attempt)
        try:
            return await self._answer(key, attempt.terms)
        except CallError as error:
            attempt.error = error
            raise
        finally:
            attempt.end = loop.time()

    async def _answer(self, key: int, terms: CallContext) -> int:
        work, loop = self.works[key], asyncio.get_running_loop()
        if terms.caller == work.refused_caller:
            raise OverloadedError("your share is used up")
        left = float("inf") if terms.deadline is None else terms.deadline - 2 * LEAVE_SECONDS - loop.time()
        if left < work.seconds and work.refuses_at_once:
            raise OverloadedError("too long a queue for your deadline")
        await asyncio.sleep(max(0.0, min(left, work.seconds)))
        if left < work.seconds:
            raise DeadlineExceededError("the deadline passed at the service")
        if work.invalid:
            raise InvalidArgumentError("this cannot be done", field="prompt")
        return key


@dataclass
class End:
    """How a caller's wait ended."""

    arrival: Arrival
    call: CallContext
    at: float
    what: int | BaseException


async def _play(arrivals: list[Arrival], service: Service) -> tuple[list[End], float, int]:
    loop = asyncio.get_running_loop()
    registry = CollectorRegistry()
    shared = SharedCalls("generation", DownstreamMetrics(registry))
    ends: list[End] = []

    async def call(arrival: Arrival) -> None:
        deadline = None if arrival.timeout is None else loop.time() + arrival.timeout
        context = CallContext(caller=arrival.caller, priority=arrival.priority, deadline=deadline)
        enter_call(context)
        try:
            what: int | BaseException = await shared.ask(arrival.key, partial(service.answer, arrival.key))
        except (CallError, asyncio.CancelledError) as error:
            what = error
        ends.append(End(arrival, context, loop.time(), what))

    async def arrive(arrival: Arrival) -> None:
        await asyncio.sleep(arrival.at)
        task = asyncio.create_task(call(arrival))
        if arrival.cancel_after is not None:
            loop.call_later(arrival.cancel_after, task.cancel)
        await asyncio.wait([task])

    await asyncio.gather(*map(arrive, arrivals))
    await asyncio.sleep(0)  # the work that the last one cancelled
    in_flight = registry.get_sample_value("diptych_downstream_in_flight", {"service": "generation"})
    assert in_flight is not None
    return ends, in_flight, len(shared)


TIMES = st.integers(0, 60).map(lambda tenths: tenths / 10)
ARRIVALS = st.builds(
    Arrival,
    key=st.integers(0, 1),
    at=TIMES.map(lambda seconds: seconds / 3),
    timeout=st.none() | TIMES.map(lambda seconds: seconds + 0.05),
    cancel_after=st.none() | TIMES,
    caller=st.sampled_from(["", "a", "b"]),
    priority=st.sampled_from([PRIORITIES[0]] * 9 + [PRIORITIES[1]]),
)
WORKS = st.builds(
    Work,
    seconds=TIMES,
    invalid=st.booleans(),
    refused_caller=st.sampled_from(["nobody", "a"]),
    refuses_at_once=st.booleans(),
)


@settings(max_examples=400, deadline=None)
@given(arrivals=st.lists(ARRIVALS, min_size=1, max_size=12), works=st.lists(WORKS, min_size=2, max_size=2))
def test_every_waiter_gets_the_right_end_exactly_once(arrivals: list[Arrival], works: list[Work]) -> None:
    service = Service(works)
    ends, in_flight, left = run_in_virtual_time(_play(arrivals, service))
    assert sorted(map(repr, (end.arrival for end in ends))) == sorted(map(repr, arrivals))
    for end in ends:
        _check_end(end, service)
    for key in range(len(works)):
        if len({arrival.priority for arrival in arrivals if arrival.key == key}) == 1:
            attempts = [each for each in service.attempts if each.key == key]
            _check_that_one_runs_at_a_time(attempts)
            _check_that_terms_are_the_best(attempts, [end for end in ends if end.arrival.key == key])
    assert all(_somebody_waited(attempt, ends) for attempt in service.attempts)
    assert (in_flight, left) == (0.0, 0)


def _check_end(end: End, service: Service) -> None:
    work = service.works[end.arrival.key]
    tries = [each for each in service.attempts if each.key == end.arrival.key]
    if isinstance(end.what, asyncio.CancelledError):
        assert end.arrival.cancel_after is not None
        assert abs(end.at - end.arrival.at - end.arrival.cancel_after) < SOON
    elif isinstance(end.what, DeadlineExceededError):
        assert end.call.deadline is not None
        assert abs(end.call.deadline - end.at) < 3 * LEAVE_SECONDS or end.call.deadline < end.arrival.at + LEAVE_SECONDS
    elif isinstance(end.what, OverloadedError):
        refused = [each for each in tries if isinstance(each.error, OverloadedError) and each.end == end.at]
        assert any(_no_worse(each.terms, end.call) for each in refused)
    elif isinstance(end.what, InvalidArgumentError):
        assert work.invalid
    else:
        assert end.what == end.arrival.key
        assert not work.invalid


def _no_worse(tried: CallContext, own: CallContext) -> bool:
    """Whether a caller could not have fared better under its own terms."""
    latest = tried.deadline is None or (own.deadline is not None and own.deadline <= tried.deadline)
    return latest and tried.caller == own.caller


def _check_that_one_runs_at_a_time(attempts: list[Attempt]) -> None:
    for before, after in itertools.pairwise(attempts):
        assert before.end is not None and before.end <= after.begin


def _check_that_terms_are_the_best(attempts: list[Attempt], ends: list[End]) -> None:
    for each in attempts:
        waiting = [end.call.deadline for end in ends if end.arrival.at < each.begin < end.at]
        assert each.terms.deadline is None or all(one is not None and one <= each.terms.deadline for one in waiting)


def _somebody_waited(attempt: Attempt, ends: list[End]) -> bool:
    """Whether it never ran on after those who wanted it had gone."""
    assert attempt.end is not None
    wanting = [end for end in ends if end.arrival.key == attempt.key]
    moments = [attempt.begin, *(end.at for end in wanting if attempt.begin < end.at)]
    return all(
        any(end.arrival.at <= moment + SOON and moment + SOON < end.at for end in wanting)
        for moment in moments
        if moment + SOON < attempt.end
    )
