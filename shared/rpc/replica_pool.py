"""Calls to one service over its replicas: picks one for each call, and tries another where that helps.

gRPC's own balancing cannot be extended in Python, and knows neither queues nor joint spaces; so each replica has
a channel of its own, and this class is the balancer. It knows no service: stubs are handed in.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

import grpc

from shared.codes import Reason
from shared.errors import DeadlineExceededError, OverloadedError, UnavailableError
from shared.metrics import DownstreamMetrics
from shared.rpc.attempt import Attempt
from shared.rpc.choice import choose
from shared.rpc.context import current_call, remaining_seconds
from shared.rpc.followed_certificates import FollowedCertificates
from shared.rpc.replica import Replica
from shared.rpc.replica_load import Terms
from shared.rpc.replica_set import ReplicaSet, Resolve
from shared.rpc.resolver import resolve
from shared.rpc.retry_budget import RetryBudget
from shared.rpc.status import from_rpc_error

Request = TypeVar("Request")
Response = TypeVar("Response")
StubT = TypeVar("StubT")
if TYPE_CHECKING:  # generic in the stubs, not at run time
    Method = grpc.aio.UnaryUnaryMultiCallable[Request, Response]

MAX_ATTEMPTS = 4
LEAST_RETRY_SECONDS = 0.01
"""As the services say: a caller that is told to come back after 0 seconds would only add to the overload."""
_TRY_ELSEWHERE = (
    grpc.StatusCode.UNAVAILABLE,
    # Not our own cancel, which is no error here: the replica cut off what outlasted its drain.
    grpc.StatusCode.CANCELLED,
)
_NO_VERDICT = (*_TRY_ELSEWHERE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.FAILED_PRECONDITION)
"""Ends of an attempt that say nothing about the call itself."""


@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """How a pool behaves; the defaults fit services in the same cluster."""

    replica_wait_seconds: float = 1.0
    """Longest a call waits for a replica that serves."""
    resolve_seconds: float = 3.0
    """Seconds between two look-ups of DNS targets."""
    default_timeout_seconds: float = 60.0
    """Timeout of a call whose caller set no deadline."""
    deadline_margin_seconds: float = 0.005
    """Taken off the caller's remaining time, so that the answer to a failure still arrives."""
    retry_ratio: float = 0.2
    """Retries a call in the long run."""
    retry_burst: int = 64
    """Retries at once: the calls that were under way on a lost replica."""
    max_message_bytes: int = 64 * 1024 * 1024


DEFAULT_OPTIONS = PoolOptions()


class ReplicaPool(Generic[StubT]):
    """All replicas of one service; inside `async with` it finds, watches and calls them.

    Args:
        name: the service's name in errors and metrics, such as `text`.
        targets: `host:port`, or `dns:///name:port` for every address behind a name.
        stub: makes the service's stub on a channel.
        resolve: looks targets up.
        certificates: for TLS; plain text without.
    """

    def __init__(
        self,
        name: str,
        targets: Sequence[str],
        stub: Callable[[grpc.aio.Channel], StubT],
        *,
        metrics: DownstreamMetrics,
        options: PoolOptions = DEFAULT_OPTIONS,
        resolve: Resolve = resolve,
        certificates: FollowedCertificates | None = None,
    ) -> None:
        self.name = name
        self._metrics = metrics
        metrics.expect(name)
        self._options = options
        self._budget = RetryBudget(ratio=options.retry_ratio, burst=options.retry_burst)
        self._replicas = ReplicaSet(
            name,
            targets,
            stub,
            metrics=metrics,
            resolve=resolve,
            resolve_seconds=options.resolve_seconds,
            max_message_bytes=options.max_message_bytes,
            certificates=certificates,
        )

    async def __aenter__(self) -> Self:
        await self._replicas.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._replicas.__aexit__(kind, error, trace)

    def spaces(self) -> dict[str, int]:
        """Number of serving replicas by joint space; empty while none serves."""
        return dict(Counter(replica.space for replica in self._replicas.serving()))

    def may_serve(self, space: str) -> bool:
        """Whether a known replica is of that space, serving or not; one that has not told yet may be of any."""
        return any(space == each.space or each.untold for each in self._replicas.all())

    async def wait_for_change(self, since: float) -> None:
        """Returns when a replica has begun or ceased to serve.

        Args:
            since: when the current call began to wait, by the loop's clock.

        Raises:
            TimeoutError: the call has waited for as long as calls wait for a replica.
        """
        wait = self._options.replica_wait_seconds
        call = current_call()
        if call.span is not None:
            call.span.event("waits for replicas", {"diptych.service": self.name})
        # Half of what was left at most, so that the caller gets the reason and not only its deadline.
        deadline = call.deadline
        give_up = since + (wait if deadline is None else min(wait, max(0.0, deadline - since) / 2))
        async with asyncio.timeout_at(give_up):
            await self._replicas.wait_for_change()

    def replicas(self) -> list[Replica[StubT]]:
        """Every known replica, serving or not; to look at."""
        return self._replicas.all()

    async def call_replica(
        self,
        address: str,
        method: Callable[[StubT], Method[Request, Response]],
        request: Request,
        *,
        timeout_seconds: float,
    ) -> Response:
        """Asks one replica, once; for what is the business of that one alone.

        Raises:
            UnavailableError: no replica has this address, or not any more.
            grpc.aio.AioRpcError: what it answered.
        """
        for replica in self._replicas.all():
            if replica.address == address:
                return await self._attempt(replica, method, request, longest_seconds=timeout_seconds)
        raise UnavailableError(f"{self.name}: no replica at {address}", reason=Reason.NO_REPLICA)

    async def call(
        self, method: Callable[[StubT], Method[Request, Response]], request: Request, *, space: str | None = None
    ) -> Response:
        """Calls a replica, and another one where the first is lost; so methods must be safe to repeat.

        The current call's metadata and deadline are passed on; cancelling this cancels the call at the replica.

        Args:
            method: picks the method from a stub.
            space: only replicas of this joint space; None is any.

        Raises:
            UnavailableError: no replica serves, even after a short wait.
            OverloadedError: at once, when by their own word no replica would answer before the caller's deadline.
            DeadlineExceededError: the caller's deadline has passed.
            grpc.aio.AioRpcError: what a replica answered, after the retries. A call that cost a model process is tried
                once more only, and if that gives no answer ends with MODEL_LOST: it may be what kills them.
        """
        self._budget.earn()
        tried: list[Replica[StubT]] = []
        model_lost: grpc.aio.AioRpcError | None = None
        try:
            while True:
                replica = await self._wait_for_replica(space, tried)
                if tried:
                    self._metrics.retries.labels(self.name).inc()
                watches = replica.watches
                try:
                    return await self._attempt(replica, method, request, number=len(tried) + 1)
                except grpc.aio.AioRpcError as error:
                    if error.code() not in _TRY_ELSEWHERE:
                        raise
                    replica.doubt(watches, error)
                    tried.append(replica)
                    if from_rpc_error(error).reason is Reason.MODEL_LOST:
                        if model_lost is not None:
                            raise
                        model_lost = error
                    if len(tried) >= MAX_ATTEMPTS or not self._budget.spend():
                        raise
        except (grpc.aio.AioRpcError, UnavailableError, OverloadedError) as error:
            verdict = isinstance(error, grpc.aio.AioRpcError) and error.code() not in _NO_VERDICT
            if model_lost is None or error is model_lost or verdict:
                raise
            raise model_lost from error  # our caller must know that this call may be what kills models

    def expected_seconds(self, space: str | None = None) -> float:
        """How long a call of one item would take now at the best replica that serves; 0 if none does, or none told."""
        now = time.monotonic()
        loads = [each.load for each in self._replicas.serving(space)]
        return min((load.queue_seconds(now) + (load.item_seconds(now) or 0.0) for load in loads), default=0.0)

    def has_room(self, space: str | None = None, *, after_seconds: float = 0.0) -> bool:
        """Whether `require_room` would let a call pass."""
        serving = self._replicas.serving(space)
        return not serving or bool(self._in_time(serving, time.monotonic(), after_seconds))

    def require_room(self, space: str | None = None, *, after_seconds: float = 0.0) -> None:
        """Whether a call is worth its preparation, which takes `after_seconds`.

        Raises:
            OverloadedError: by their own word no replica would answer before the current call's deadline.
        """
        now = time.monotonic()
        if (serving := self._replicas.serving(space)) and not self._in_time(serving, now, after_seconds):
            raise self._refusal(serving, now, after_seconds)

    async def _wait_for_replica(self, space: str | None, tried: Sequence[Replica[StubT]]) -> Replica[StubT]:
        """A replica that serves and is not known to be too busy; one not tried yet where there is one."""
        since = asyncio.get_running_loop().time()
        while True:
            serving = self._replicas.serving(space)
            if candidates := [each for each in serving if each not in tried] or serving:
                now = time.monotonic()
                if not (in_time := self._in_time(candidates, now)):
                    raise self._refusal(candidates, now)
                return in_time[choose([each.load for each in in_time], now)]
            try:
                await self.wait_for_change(since)
            except TimeoutError:
                of_space = f" of space {space}" if space is not None and self.spaces() else ""
                message = f"{self.name}: no replica{of_space} is serving ({self._replicas.reasons()})"
                raise UnavailableError(message, reason=Reason.NO_REPLICA) from None

    def _in_time(self, replicas: list[Replica[StubT]], now: float, after_seconds: float = 0.0) -> list[Replica[StubT]]:
        """Those that do not say that they would answer the current call too late."""
        terms, left = _terms(), self._seconds_left(after_seconds)
        return [each for each in replicas if each.load.answer_seconds(terms, now) <= left]

    def _refusal(self, replicas: list[Replica[StubT]], now: float, after_seconds: float = 0.0) -> OverloadedError:
        """Why a call is refused for which none of these is in time; it is counted."""
        self._metrics.refused.labels(self.name).inc()
        terms, left = _terms(), self._seconds_left(after_seconds)
        soonest = min(each.load.answer_seconds(terms, now) for each in replicas)
        message = f"{self.name}: the queue makes this about {soonest:.3f} s; the deadline is in {left:.3f} s"
        wait = max(LEAST_RETRY_SECONDS, soonest - left)
        return OverloadedError(message, reason=Reason.QUEUE_TOO_LONG, retry_after_seconds=wait)

    def _seconds_left(self, after_seconds: float) -> float:
        left = remaining_seconds(self._options.deadline_margin_seconds)
        return math.inf if left is None else left - after_seconds

    async def _attempt(
        self,
        replica: Replica[StubT],
        method: Callable[[StubT], Method[Request, Response]],
        request: Request,
        *,
        number: int = 1,
        longest_seconds: float = math.inf,
    ) -> Response:
        timeout = remaining_seconds(self._options.deadline_margin_seconds)
        if timeout is None:
            timeout = self._options.default_timeout_seconds
        elif timeout == 0.0:
            message = f"{self.name}: the deadline passed before the call"
            raise DeadlineExceededError(message, reason=Reason.DEADLINE_PASSED)
        with Attempt(self._metrics, self.name, replica, request, number):
            return await replica.call(
                method(replica.stub), request, timeout_seconds=min(timeout, longest_seconds), terms=_terms()
            )


def _terms() -> Terms:
    call = current_call()
    return call.caller, call.priority
