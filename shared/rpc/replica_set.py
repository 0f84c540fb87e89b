"""Which replicas a service has at present: looked up again and again, opened when new, renewed with new certificates,
retired when gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

import grpc

from shared.metrics import DownstreamMetrics
from shared.rpc.credentials import channel_credentials
from shared.rpc.followed_certificates import FollowedCertificates
from shared.rpc.replica import Replica
from shared.rpc.resolver import host_of

_log = logging.getLogger(__name__)

StubT = TypeVar("StubT")
Resolve = Callable[[str], Awaitable[list[str]]]
"""What `shared.rpc.resolver.resolve` is."""
TOLD_SECONDS = 60.0
"""Between two warnings that a replica does not take a new certificate: Kubernetes may need as long to hand out a CA."""
RETIRE_SECONDS = 60.0
"""How long calls may still run on a replica whose address is gone."""


class ReplicaSet(Generic[StubT]):
    """The watched replicas behind some targets; inside `async with` it is kept up to date.

    Args:
        name: the service's name in metrics.
        targets: what to look up.
        stub: makes the service's stub on a channel.
        resolve: looks targets up.
        resolve_seconds: time between two look-ups.
        certificates: for TLS; plain text without.
    """

    def __init__(
        self,
        name: str,
        targets: Sequence[str],
        stub: Callable[[grpc.aio.Channel], StubT],
        *,
        metrics: DownstreamMetrics,
        resolve: Resolve,
        resolve_seconds: float,
        max_message_bytes: int,
        certificates: FollowedCertificates | None = None,
    ) -> None:
        self._name = name
        self._targets = tuple(targets)
        self._stub = stub
        self._metrics = metrics
        self._lookup = resolve
        self._resolve_seconds = resolve_seconds
        self._max_message_bytes = max_message_bytes
        self._certificates = certificates
        self._replicas: dict[str, Replica[StubT]] = {}
        self._successors: dict[str, Replica[StubT]] = {}
        """By address, over newer certificates; each takes its replica's place once it serves."""
        self._watches: dict[Replica[StubT], asyncio.Task[None]] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._found: dict[str, list[str]] = {}
        """Addresses by target, as they were last found."""
        self._unresolved: dict[str, str] = {}
        """Targets whose last look-up failed, and why."""
        self._resolving: list[asyncio.Task[None]] = []
        self._change = asyncio.Event()

    async def __aenter__(self) -> Self:
        # Each by itself: a name server that is slow with one name holds up no other.
        self._resolving = [asyncio.create_task(self._keep_resolving(target)) for target in self._targets]
        if self._certificates is not None:
            self._resolving.append(asyncio.create_task(self._keep_renewing(self._certificates)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [*self._resolving, *self._watches.values(), *self._retiring]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        replicas = (*self._replicas.values(), *self._successors.values())
        await asyncio.gather(*(replica.close() for replica in replicas))

    def serving(self, space: str | None = None) -> list[Replica[StubT]]:
        """The replicas that serve, of one joint space or of any."""
        return [each for each in self._replicas.values() if each.serving and space in (None, each.space)]

    def all(self) -> list[Replica[StubT]]:
        """Every known replica."""
        return list(self._replicas.values())

    async def wait_for_change(self) -> None:
        """Returns when a replica has begun or ceased to serve."""
        await self._change.wait()

    def reasons(self) -> str:
        """Why no replica serves, or none of a wanted space, address by address."""
        unresolved = [f"{target}: {reason}" for target, reason in sorted(self._unresolved.items())]
        known = [f"{each.address}: {each.reason or f'serves space {each.space}'}" for each in self._replicas.values()]
        return ", ".join(unresolved + known) or "no address known"

    async def _keep_resolving(self, target: str) -> None:
        while True:
            try:
                self._found[target] = await self._lookup(target)
                self._unresolved.pop(target, None)
            except LookupError as error:
                # What was found before stays: a name server in trouble must not take away replicas that answer.
                self._unresolved[target] = str(error)
            self._follow()
            await asyncio.sleep(self._resolve_seconds)

    async def _keep_renewing(self, certificates: FollowedCertificates) -> None:
        while True:
            try:
                async with asyncio.timeout(TOLD_SECONDS if self._successors else None):
                    await certificates.wait_for_change()
            except TimeoutError:
                for address, each in self._successors.items():
                    told = "%s: %s does not serve under the new certificate (%s); calls go on under the one before"
                    _log.warning(told, self._name, address, each.reason)
                continue
            for address, replica in self._replicas.items():
                self._drop(self._successors.pop(address, None))
                # Its calls end on the channel that they began on, and until the other end takes the new certificate
                # so do new ones: no two machines get theirs at the same moment.
                successor = self._successors[address] = self._make(address, replica.host)
                successor.watches = replica.watches  # the next one has another number, and so is news

    def _follow(self) -> None:
        """Opens replicas at new addresses, and retires those that no target stands for any more."""
        addresses: dict[str, str] = {}
        for target, found in self._found.items():
            for address in found:
                addresses.setdefault(address, host_of(target))
        for address, host in addresses.items():
            if address not in self._replicas:
                self._replicas[address] = self._make(address, host)
        for address in self._replicas.keys() - addresses.keys():
            self._drop(self._successors.pop(address, None))
            self._drop(self._replicas.pop(address))
        self._note_change()

    def _make(self, address: str, host: str) -> Replica[StubT]:
        replica = Replica(
            address,
            self._stub,
            max_message_bytes=self._max_message_bytes,
            changed=self._note_change,
            credentials=None if self._certificates is None else channel_credentials(self._certificates.pem),
            host=host,
        )
        self._watches[replica] = asyncio.create_task(replica.watch())
        return replica

    def _drop(self, replica: Replica[StubT] | None, grace_seconds: float | None = RETIRE_SECONDS) -> None:
        """Retires a replica, once its calls have ended."""
        if replica is None:
            return
        self._watches.pop(replica).cancel()
        task = asyncio.create_task(replica.close(grace_seconds))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _note_change(self) -> None:
        for address in [address for address, each in self._successors.items() if each.serving]:
            self._drop(self._replicas[address], grace_seconds=None)  # nothing is wrong with it
            self._replicas[address] = self._successors.pop(address)
        serving = len(self.serving())
        self._metrics.replicas.labels(self._name, "serving").set(serving)
        self._metrics.replicas.labels(self._name, "not_serving").set(len(self._replicas) - serving)
        # Wakes every waiter once; those who come later wait for the next change.
        self._change.set()
        self._change = asyncio.Event()
