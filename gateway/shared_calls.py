"""Equal calls to a model service that are under way at the same time are made once, and all get the answer.

It is done for each call to a service and not for each flow: flows that differ share what is equal in them (a prompt
with other seeds its encoding, a stream and a single picture the same seed), the joint space that a flow chose is part
of what is compared, and no flow knows of it. It is right because a service's answer depends on the request and its
model alone: that is what makes calls safe to repeat.

The work belongs to no caller. It runs in a task of its own, under terms made of those who wait for it: the latest of
their deadlines, the most urgent of their priorities, id and caller of the one who has waited longest. It ends when the
last one leaves. gRPC cannot change the deadline or the priority of a call under way, so:

- An end that comes of the terms (too late, refused because of the queue, no replica in time) ends the call of those
  whose own terms were no better. For those who came later with more time, or are another caller who may have a share
  left, the work is tried again. Every attempt that fails sends away who has waited longest, and all who began with
  it and have the same caller, so that a refusal reaches its caller at once however many others follow.
- Who is more urgent than the call under way begins it anew; the less urgent join that one from then on.
- Everybody leaves at their own deadline, whatever the work's is.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from shared.codes import Reason
from shared.errors import CallError, DeadlineExceededError, OverloadedError, UnavailableError
from shared.metrics import DownstreamMetrics
from shared.rpc.context import PRIORITIES, CallContext, current_call, enter_call

T = TypeVar("T")

LEAVE_SECONDS = 0.002
"""How long before its deadline a waiter leaves: the answer to that must arrive, and the work's own, which says why,
comes 5 ms before."""
SAMPLE_BYTES = 1024
"""About as many bytes of a request are hashed: all of a prompt, every so many of a picture."""


class EqualRequest:
    """A request as a key. Equal are those of one method with equal messages; hashed is only a sample of `parts`.

    Hashing 8 MiB would hold the event loop for milliseconds, and comparing them is rare: only on equal samples.
    """

    __slots__ = ("_hash", "_message", "_method")

    def __init__(self, method: Hashable, message: Message, parts: Sequence[bytes]) -> None:
        self._method = method
        self._message = message
        self._hash = hash((method, *((len(part), part[:: len(part) // SAMPLE_BYTES or 1]) for part in parts)))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EqualRequest) and self._method == other._method and self._message == other._message


class SharedCalls:
    """The calls to one service that are under way. Answers are shared: nobody may change them."""

    def __init__(self, service: str, metrics: DownstreamMetrics) -> None:
        self._service = service
        self._joined = metrics.joined.labels(service)
        self._in_flight = metrics.in_flight.labels(service)
        self._under_way: dict[Hashable, _SharedCall[Any]] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    async def ask(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """The answer that `make` gives, or that an equal call under way gives.

        `make` runs in another context than the caller's, whose deadline is at least the caller's.

        Raises:
            DeadlineExceededError: the caller's deadline passed.
            CallError: what `make` ended with, a copy for each.
        """
        call = current_call()
        shared: _SharedCall[T] | None = self._under_way.get(key)
        if shared is not None and shared.is_urgent_enough(call):
            self._joined.inc()
            with shared.told_as_joined(call):
                return await shared.wait(call)

        def ended() -> None:
            self._in_flight.dec()
            if self._under_way.get(key) is mine:
                del self._under_way[key]

        mine = _SharedCall(self._service, call, make, ended)
        self._under_way[key] = mine
        self._in_flight.inc()
        return await mine.wait(call)


class _SharedCall(Generic[T]):
    """One call and those who wait for it."""

    def __init__(
        self, service: str, call: CallContext, make: Callable[[], Awaitable[T]], ended: Callable[[], None]
    ) -> None:
        self._service = service
        self._terms = call
        self._make = make
        self._ended: Callable[[], None] | None = ended
        self._waiters: dict[asyncio.Future[T], CallContext] = {}
        """In the order of their arrival."""
        self._task = asyncio.create_task(self._run())

    def is_urgent_enough(self, call: CallContext) -> bool:
        """Whether it is under way at the call's priority, or a more urgent one."""
        return _rank(self._terms) <= _rank(call)

    @contextmanager
    def told_as_joined(self, call: CallContext) -> Iterator[None]:
        """A span for the wait of a call that is traced, with a link to where the work is in a trace, if it is."""
        if call.span is None:
            yield
            return
        links = () if self._terms.trace is None else (self._terms.trace,)
        span = call.span.child(f"joined {self._service}", links=links)
        try:
            yield
        finally:
            span.end()

    async def wait(self, call: CallContext) -> T:
        """The answer; cancelled, or at the call's deadline, it leaves the others to wait."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[T] = loop.create_future()
        self._waiters[waiter] = call
        timer = None if call.deadline is None else loop.call_at(call.deadline - LEAVE_SECONDS, self._expire, waiter)
        try:
            return await waiter
        finally:
            if timer is not None:
                timer.cancel()
            if self._waiters.pop(waiter, None) is not None and not self._waiters:
                self._end()  # now, so that nobody joins what is cancelled
                self._task.cancel()
            del waiter  # else its error would keep this frame, which keeps it, and the request until garbage collection

    def _expire(self, waiter: asyncio.Future[T]) -> None:
        if not waiter.done():
            message = f"{self._service}: the deadline passed before the answer"
            waiter.set_exception(DeadlineExceededError(message, reason=Reason.DEADLINE_PASSED))

    async def _run(self) -> None:
        try:
            while self._waiters:
                self._terms = _joint_terms(self._waiters.values())
                enter_call(self._terms)
                try:
                    answer = await self._make()
                except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told
                    self._fail(error)
                else:
                    for waiter in self._dismiss(self._waiters):
                        waiter.set_result(answer)
        finally:
            self._end()
            # There are some only if the call was cancelled from below, as by a channel that closes.
            for waiter in self._dismiss(self._waiters):
                waiter.cancel()

    def _fail(self, error: Exception) -> None:
        hit = [waiter for waiter, call in self._waiters.items() if not _deserves_another(call, self._terms, error)]
        for waiter in self._dismiss(hit):
            waiter.set_exception(copy.copy(error) if isinstance(error, CallError) else error)

    def _dismiss(self, waiters: Collection[asyncio.Future[T]]) -> list[asyncio.Future[T]]:
        """Those of some waiters who still wait; none of them is counted from now on."""
        left = [waiter for waiter in waiters if not waiter.done()]
        for waiter in list(waiters):
            del self._waiters[waiter]
        return left

    def _end(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended()


def _rank(call: CallContext) -> int:
    return PRIORITIES.index(call.priority)


def _joint_terms(calls: Collection[CallContext]) -> CallContext:
    oldest = next(iter(calls))
    if len(calls) == 1:
        return oldest
    deadlines = [call.deadline for call in calls if call.deadline is not None]
    return replace(
        oldest,
        deadline=max(deadlines) if len(deadlines) == len(calls) else None,
        priority=PRIORITIES[min(map(_rank, calls))],
    )


def _deserves_another(call: CallContext, tried: CallContext, error: Exception) -> bool:
    """Whether a call could fare better by itself than the attempt did."""
    if isinstance(error, OverloadedError) and call.caller != tried.caller:
        return True
    if isinstance(error, UnavailableError) and error.reason is not Reason.NO_REPLICA:
        return False
    if not isinstance(error, DeadlineExceededError | OverloadedError | UnavailableError):
        return False
    return tried.deadline is not None and (call.deadline is None or call.deadline > tried.deadline)
