"""One replica of a service as its callers see it: a channel, its watched health, its space and its load."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Generic, TypeVar

import grpc
from grpc.aio._call import Call
from grpc_health.v1 import health_pb2

from diptych.types.v1 import model_pb2
from shared.rpc import metadata
from shared.rpc.channel import open_channel
from shared.rpc.context import outgoing_metadata
from shared.rpc.health import SERVING, short_reason, watch_method
from shared.rpc.replica_load import ReplicaLoad, Terms

Request = TypeVar("Request")
Response = TypeVar("Response")
StubT = TypeVar("StubT")
if TYPE_CHECKING:  # generic in the stubs, not at run time
    Method = grpc.aio.UnaryUnaryMultiCallable[Request, Response]

FIRST_BACKOFF_SECONDS = 0.05
MAX_BACKOFF_SECONDS = 0.5
STEADY_SECONDS = 0.5
"""Who has served for so long is watched anew at once. A replica that says it serves and fails each call is not: it
would cost twenty second attempts a second."""


class Replica(Generic[StubT]):
    """A replica at one address; `watch` keeps what is known of it up to date.

    Args:
        address: `host:port`.
        stub: makes the service's stub; its methods are made once for the replica's life.
        changed: called whenever the replica begins or ceases to serve.
        credentials: for TLS; plain text without.
        host: what its certificate must name.
    """

    def __init__(
        self,
        address: str,
        stub: Callable[[grpc.aio.Channel], StubT],
        *,
        max_message_bytes: int,
        changed: Callable[[], None],
        credentials: grpc.ChannelCredentials | None = None,
        host: str = "",
    ) -> None:
        self.address = address
        self.host = host
        self.serving = False
        self.model: model_pb2.Model | None = None
        """Its model, from the metadata of the health watch; None if it never told one."""
        self.reason = "connecting"
        """Why it does not serve; empty while it does."""
        self.load = ReplicaLoad()
        self.watches = 0
        """Health watches opened so far: a call remembers the number to know whether its news is old."""
        self._changed = changed
        self._backoff = FIRST_BACKOFF_SECONDS
        self._serving_since = 0.0
        self._idle = asyncio.Event()
        self._idle.set()
        self._channel = open_channel(
            address, max_message_bytes=max_message_bytes, credentials=credentials, authority=host if credentials else ""
        )
        self._watch_health = watch_method(self._channel)
        self._watch_call: grpc.aio.Call | None = None
        self.stub = stub(self._channel)

    @property
    def space(self) -> str:
        """Joint space of its model; empty if it told none."""
        return self.model.space if self.model is not None else ""

    @property
    def untold(self) -> bool:
        """Whether its model is not known yet: it may be of any space."""
        return self.model is None and not self.serving

    async def watch(self) -> None:
        """Follows the replica's health until cancelled, through restarts of the replica."""
        while True:
            try:
                await self._follow_health()
                self._set_state("health watch ended")
            except grpc.aio.AioRpcError as error:
                self._set_state(short_reason(error))
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                # `doubt` cancelled the stream, not this task.
            await asyncio.sleep(self._backoff)
            self._backoff = min(self._backoff * 2, MAX_BACKOFF_SECONDS)

    async def _follow_health(self) -> None:
        """Reads one Watch stream to its end."""
        self.watches += 1
        call = self._watch_call = self._watch_health(health_pb2.HealthCheckRequest())
        try:
            self.model = _model(await call.initial_metadata()) or self.model
            async for answer in call:
                self._set_state("" if answer.status == SERVING else "not serving")
        finally:
            call.cancel()

    def doubt(self, watches: int, error: grpc.aio.AioRpcError) -> None:
        """Takes a replica that answered UNAVAILABLE out of choice until a fresh watch says that it serves.

        Args:
            watches: `self.watches` when the call began; a watch opened since knows better.
            error: what the call ended with.
        """
        if self.serving and watches == self.watches and self._watch_call is not None:
            self._set_state(short_reason(error))
            self._watch_call.cancel()

    def _set_state(self, reason: str) -> None:
        serving = not reason
        self.reason = reason
        if serving != self.serving:
            self.serving = serving
            if serving:
                self._serving_since = time.monotonic()
            elif time.monotonic() - self._serving_since >= STEADY_SECONDS:
                self._backoff = FIRST_BACKOFF_SECONDS
            self._changed()

    @property
    def in_flight(self) -> int:
        """Calls of this process under way."""
        return self.load.in_flight

    def queue_seconds(self) -> float:
        """How long an item arriving now would wait: what the replica told last, less the time since."""
        return self.load.queue_seconds(time.monotonic())

    async def call(
        self, method: Method[Request, Response], request: Request, *, timeout_seconds: float, terms: Terms
    ) -> Response:
        """One attempt, on behalf of the current call; cancelling it cancels the call at the replica.

        Raises:
            grpc.aio.AioRpcError: whatever status the replica answers.
        """
        self.load.in_flight += 1
        self._idle.clear()
        try:
            call = method(request, timeout=timeout_seconds, metadata=grpc.aio.Metadata(*outgoing_metadata()))
            try:
                trailers = await call.trailing_metadata()
            except asyncio.CancelledError:
                # Without the task that waits for the response, as `call.cancel()` would: of a call whose task is
                # cancelled gRPC loses the memory (https://github.com/grpc/grpc/issues/43360).
                Call.cancel(call)  # type: ignore[arg-type]  # what a method returns is one, which its stubs do not say
                raise
            response = await call
            self.load.note(trailers, terms, time.monotonic())
            return response
        except grpc.aio.AioRpcError as error:
            self.load.note(error.trailing_metadata(), terms, time.monotonic())
            raise
        finally:
            self.load.in_flight -= 1
            if not self.load.in_flight:
                self._idle.set()

    async def close(self, grace_seconds: float | None = 0.0) -> None:
        """Waits for the calls under way, at most the grace, None for as long as they take, and closes the channel."""
        try:
            await asyncio.wait_for(self._idle.wait(), grace_seconds)
        except TimeoutError:
            pass
        finally:
            await self._channel.close()


def _model(entries: Iterable[tuple[str, str | bytes]] | None) -> model_pb2.Model | None:
    """The identity that a health watch begins with; None where it has none, as that of a gateway."""
    entries = tuple(entries or ())
    if (space := _value(entries, metadata.MODEL_SPACE)) is None:
        return None
    return model_pb2.Model(
        name=_value(entries, metadata.MODEL_NAME) or "",
        version=_value(entries, metadata.MODEL_VERSION) or "",
        digest=_value(entries, metadata.MODEL_DIGEST) or "",
        space=space,
    )


def _value(entries: Iterable[tuple[str, str | bytes]] | None, key: str) -> str | None:
    for name, value in entries or ():
        if name == key:
            return value if isinstance(value, str) else value.decode()
    return None
