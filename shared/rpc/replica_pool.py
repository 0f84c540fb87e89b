"""Calls to one service over its replicas: picks one for each call, and tries another where that helps.

gRPC's own balancing cannot be extended in Python, and knows neither queues nor joint spaces; so each replica has
a channel of its own, and this class does what a balancer does. It knows no service: stubs are handed in.
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
from shared.rpc.choice import choose
from shared.rpc.context import current_call, remaining_seconds
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
MAX_MODELS_LOST = 2
"""Attempts of one call that may end with the model process lost: the call itself may be what kills it."""
_TRY_ELSEWHERE = (
    grpc.StatusCode.UNAVAILABLE,
    # Not our own cancel, which is no error here: the replica cut off what outlasted its drain.
    grpc.StatusCode.CANCELLED,
)


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
    ) -> None:
        self.name = name
        self._metrics = metrics
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
                return await self._attempt(replica, method, request, timeout_seconds)
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
            grpc.aio.AioRpcError: what a replica answered, after the retries.
        """
        self._budget.earn()
        tried: list[Replica[StubT]] = []
        models_lost = 0
        while True:
            replica = await self._wait_for_replica(space, tried)
            watches = replica.watches
            try:
                return await self._attempt(replica, method, request)
            except grpc.aio.AioRpcError as error:
                if error.code() not in _TRY_ELSEWHERE:
                    raise
                replica.doubt(watches, error)
                tried.append(replica)
                if from_rpc_error(error).reason is Reason.MODEL_LOST:
                    models_lost += 1
                if models_lost >= MAX_MODELS_LOST or len(tried) >= MAX_ATTEMPTS or not self._budget.spend():
                    raise
            self._metrics.retries.labels(self.name).inc()

    def expected_seconds(self, space: str | None = None) -> float:
        """How long a call of one item would take now at the best replica that serves; 0 if none does, or none told."""
        now = time.monotonic()
        loads = [each.load for each in self._replicas.serving(space)]
        return min((load.queue_seconds(now) + (load.item_seconds(now) or 0.0) for load in loads), default=0.0)

    def require_room(self, space: str | None = None, *, after_seconds: float = 0.0) -> None:
        """Whether a call is worth its preparation, which takes `after_seconds`.

        Raises:
            OverloadedError: by their own word no replica would answer before the current call's deadline.
        """
        self._in_time(self._replicas.serving(space), time.monotonic(), after_seconds)

    async def _wait_for_replica(self, space: str | None, tried: Sequence[Replica[StubT]]) -> Replica[StubT]:
        """A replica that serves and is not known to be too busy; one not tried yet where there is one."""
        loop = asyncio.get_running_loop()
        remaining = remaining_seconds()
        wait = self._options.replica_wait_seconds
        # Half of what is left at most, so that the caller gets the reason and not only its deadline.
        give_up = loop.time() + (wait if remaining is None else min(wait, remaining / 2))
        while True:
            serving = self._replicas.serving(space)
            if candidates := [replica for replica in serving if replica not in tried] or serving:
                now = time.monotonic()
                candidates = self._in_time(candidates, now)
                return candidates[choose([each.load for each in candidates], now)]
            try:
                async with asyncio.timeout_at(give_up):
                    await self._replicas.wait_for_change()
            except TimeoutError:
                of_space = f" of space {space}" if space is not None and self.spaces() else ""
                reasons = self._replicas.reasons()
                message = f"{self.name}: no replica{of_space} is serving ({reasons})"
                raise UnavailableError(message, reason=Reason.NO_REPLICA) from None

    def _in_time(self, replicas: list[Replica[StubT]], now: float, after_seconds: float = 0.0) -> list[Replica[StubT]]:
        """Those that do not say that they would answer the current call too late; raises OverloadedError if all do."""
        left = remaining_seconds(self._options.deadline_margin_seconds)
        if left is None or not replicas:
            return replicas
        terms = _terms()
        left -= after_seconds
        if in_time := [each for each in replicas if each.load.answer_seconds(terms, now) <= left]:
            return in_time
        self._metrics.refused.labels(self.name).inc()
        soonest = min(each.load.answer_seconds(terms, now) for each in replicas)
        message = f"{self.name}: the queue makes this about {soonest:.3f} s; the deadline is in {left:.3f} s"
        wait = max(LEAST_RETRY_SECONDS, soonest - left)
        raise OverloadedError(message, reason=Reason.QUEUE_TOO_LONG, retry_after_seconds=wait)

    async def _attempt(
        self,
        replica: Replica[StubT],
        method: Callable[[StubT], Method[Request, Response]],
        request: Request,
        longest_seconds: float = math.inf,
    ) -> Response:
        timeout = remaining_seconds(self._options.deadline_margin_seconds)
        if timeout is None:
            timeout = self._options.default_timeout_seconds
        elif timeout == 0.0:
            message = f"{self.name}: the deadline passed before the call"
            raise DeadlineExceededError(message, reason=Reason.DEADLINE_PASSED)
        begin = time.perf_counter()
        code = grpc.StatusCode.OK
        try:
            return await replica.call(
                method(replica.stub), request, timeout_seconds=min(timeout, longest_seconds), terms=_terms()
            )
        except grpc.aio.AioRpcError as error:
            code = error.code()
            raise
        except asyncio.CancelledError:
            code = grpc.StatusCode.CANCELLED
            raise
        finally:
            self._metrics.requests.labels(self.name, code.name).inc()
            self._metrics.seconds.labels(self.name).observe(time.perf_counter() - begin)


def _terms() -> Terms:
    call = current_call()
    return call.caller, call.priority
