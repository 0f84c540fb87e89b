"""The replicas of one service: finds them, picks one for each call, and tries another where that helps.

gRPC's own balancing cannot be extended in Python, and knows neither queues nor joint spaces; so each replica has
a channel of its own, and this class does what a balancer does. It knows no service: stubs are handed in.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

import grpc

from shared.errors import DeadlineExceededError, UnavailableError
from shared.metrics import DownstreamMetrics
from shared.rpc.context import outgoing_metadata, remaining_seconds
from shared.rpc.replica import Replica
from shared.rpc.resolver import resolve
from shared.rpc.retry_budget import RetryBudget

Request = TypeVar("Request")
Response = TypeVar("Response")
StubT = TypeVar("StubT")
if TYPE_CHECKING:  # generic in the stubs, not at run time
    Method = grpc.aio.UnaryUnaryMultiCallable[Request, Response]

MAX_ATTEMPTS = 4
_TRY_ELSEWHERE = (
    grpc.StatusCode.UNAVAILABLE,
    # Not our own cancel, which is no error here: the replica cut off what outlasted its drain.
    grpc.StatusCode.CANCELLED,
)
RETIRE_SECONDS = 60.0
"""How long calls may still run on a replica whose address is gone."""


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
Resolve = Callable[[Sequence[str]], Awaitable[dict[str, str | None]]]
"""What `shared.rpc.resolver.resolve` is."""


class ReplicaPool(Generic[StubT]):
    """All replicas of one service; inside `async with` it resolves, watches and calls them.

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
        self._targets = tuple(targets)
        self._stub = stub
        self._metrics = metrics
        self._options = options
        self._lookup = resolve
        self._budget = RetryBudget(ratio=options.retry_ratio, burst=options.retry_burst)
        self._replicas: dict[str, Replica[StubT]] = {}
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._unresolved: dict[str, str] = {}
        self._change = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._resolving = asyncio.create_task(self._keep_resolving())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [self._resolving, *self._watches.values(), *self._retiring]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(replica.close() for replica in self._replicas.values()))

    def spaces(self) -> dict[str, int]:
        """Number of serving replicas by joint space; empty while none serves."""
        return dict(Counter(replica.space for replica in self._replicas.values() if replica.serving))

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
            DeadlineExceededError: the caller's deadline has passed.
            grpc.aio.AioRpcError: what a replica answered, after the retries.
        """
        self._budget.earn()
        tried: list[Replica[StubT]] = []
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
                if len(tried) >= MAX_ATTEMPTS or not self._budget.spend():
                    raise
            self._metrics.retries.labels(self.name).inc()

    async def _attempt(
        self, replica: Replica[StubT], method: Callable[[StubT], Method[Request, Response]], request: Request
    ) -> Response:
        timeout = remaining_seconds(self._options.deadline_margin_seconds)
        if timeout is None:
            timeout = self._options.default_timeout_seconds
        elif timeout == 0.0:
            raise DeadlineExceededError(f"{self.name}: the deadline passed before the call")
        begin = time.perf_counter()
        code = grpc.StatusCode.OK
        try:
            entries = grpc.aio.Metadata(*outgoing_metadata())
            return await replica.call(method(replica.stub), request, timeout_seconds=timeout, entries=entries)
        except grpc.aio.AioRpcError as error:
            code = error.code()
            raise
        except asyncio.CancelledError:
            code = grpc.StatusCode.CANCELLED
            raise
        finally:
            self._metrics.requests.labels(self.name, code.name).inc()
            self._metrics.seconds.labels(self.name).observe(time.perf_counter() - begin)

    async def _wait_for_replica(self, space: str | None, tried: Sequence[Replica[StubT]]) -> Replica[StubT]:
        """The better of two serving replicas picked by chance, one not tried yet where there is one.

        Comparing two random ones spreads load nearly as well as comparing all, and does not send every
        gateway to the same replica at once (Mitzenmacher, The Power of Two Choices, 2001).
        """
        loop = asyncio.get_running_loop()
        remaining = remaining_seconds()
        wait = self._options.replica_wait_seconds
        # Half of what is left at most, so that the caller gets the reason and not only its deadline.
        give_up = loop.time() + (wait if remaining is None else min(wait, remaining / 2))
        while True:
            serving = [r for r in self._replicas.values() if r.serving and space in (None, r.space)]
            if candidates := [r for r in serving if r not in tried] or serving:
                return min(random.sample(candidates, min(2, len(candidates))), key=Replica.cost)
            try:
                async with asyncio.timeout_at(give_up):
                    await self._change.wait()
            except TimeoutError:
                raise UnavailableError(self._why_none(space)) from None

    def _why_none(self, space: str | None) -> str:
        reasons = [f"{target}: {reason}" for target, reason in sorted(self._unresolved.items())]
        for replica in self._replicas.values():
            reasons.append(f"{replica.address}: {replica.reason or f'serves space {replica.space}'}")
        of_space = "" if space is None or not self.spaces() else f" of space {space}"
        return f"{self.name}: no replica{of_space} is serving ({', '.join(reasons) or 'no address known'})"

    async def _keep_resolving(self) -> None:
        while True:
            await self._resolve()
            await asyncio.sleep(self._options.resolve_seconds)

    async def _resolve(self) -> None:
        """Opens replicas at new addresses and retires those at addresses that are gone."""
        found = await self._lookup(self._targets)
        self._unresolved = {target: reason for target, reason in found.items() if reason is not None}
        addresses = [address for address, reason in found.items() if reason is None]
        for address in addresses:
            if address not in self._replicas:
                self._open(address)
        if self._unresolved:
            return  # a name server in trouble must not take away replicas that answer
        for address in self._replicas.keys() - set(addresses):
            self._retire(address)

    def _open(self, address: str) -> None:
        replica = Replica(
            address, self._stub, max_message_bytes=self._options.max_message_bytes, changed=self._note_change
        )
        self._replicas[address] = replica
        self._watches[address] = asyncio.create_task(replica.watch())
        self._note_change()

    def _retire(self, address: str) -> None:
        replica = self._replicas.pop(address)
        self._watches.pop(address).cancel()
        task = asyncio.create_task(replica.close(grace_seconds=RETIRE_SECONDS))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        self._note_change()

    def _note_change(self) -> None:
        serving = sum(replica.serving for replica in self._replicas.values())
        self._metrics.replicas.labels(self.name, "serving").set(serving)
        self._metrics.replicas.labels(self.name, "not_serving").set(len(self._replicas) - serving)
        # Wakes every waiter once; those who come later wait on the new event.
        self._change.set()
        self._change = asyncio.Event()
