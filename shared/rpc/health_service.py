"""grpc.health.v1 for an event loop, where no caller can hold up another, and there are only so many.

grpcio-health-checking's own writes to each watcher under the lock that all others and `set` wait for: one stranger
with a window of 0 bytes kept everybody from watching, and the server from draining.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health_pb2

from shared.codes import Code
from shared.rpc.status import status_code

if TYPE_CHECKING:  # generic in the stubs, not at run time
    Context = grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]

NAME = "grpc.health.v1.Health"
_Answer = health_pb2.HealthCheckResponse


class HealthService:
    """What a server's services are, for those who ask once and those who watch; nobody says who that is.

    Args:
        most_calls: of `Check` that may be under way at once, and of `Watch`; further ones end with RESOURCE_EXHAUSTED.
        request_seconds: the longest that a request may take to arrive once its call is there.
    """

    def __init__(self, *, most_calls: int, request_seconds: float) -> None:
        self._most_calls = most_calls
        self._request_seconds = request_seconds
        self._calls: Counter[str] = Counter()
        self._states: dict[str, int] = {}
        self._change = asyncio.Event()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Has a server offer it.

        Its handlers take a stream of requests, of which they read one: so a call counts before its request is there,
        which may be never.
        """
        read, write = health_pb2.HealthCheckRequest.FromString, _Answer.SerializeToString
        check: Any = grpc.stream_unary_rpc_method_handler(self._check, read, write)
        watch: Any = grpc.stream_stream_rpc_method_handler(self._watch, read, write)
        handlers = {"Check": check, "Watch": watch}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, handlers),))

    def set_serving(self, services: Iterable[str], serving: bool) -> None:
        """What is said of services from now on; those who watch are told, each as fast as it reads."""
        self._states |= dict.fromkeys(services, _Answer.SERVING if serving else _Answer.NOT_SERVING)
        # Wakes every watcher once; they wait for the next change on another.
        self._change.set()
        self._change = asyncio.Event()

    async def _check(self, _: object, context: Context) -> health_pb2.HealthCheckResponse:
        await self._refuse_too_many("Check", context)
        with self._counted("Check"):
            service = await self._service(context)
        if (state := self._states.get(service)) is None:
            await context.abort(status_code(Code.NOT_FOUND))
        return _Answer(status=state)

    async def _watch(self, _: object, context: Context) -> None:
        await self._refuse_too_many("Watch", context)
        with self._counted("Watch"):
            service = await self._service(context)
            told: int | None = None
            while True:
                change = self._change  # what comes while this one is told, is not missed
                if (state := self._states.get(service, _Answer.SERVICE_UNKNOWN)) != told:
                    await context.write(_Answer(status=state))
                    told = state
                await change.wait()

    async def _refuse_too_many(self, method: str, context: Context) -> None:
        if self._calls[method] >= self._most_calls:
            await context.abort(
                status_code(Code.RESOURCE_EXHAUSTED), f"{self._calls[method]} calls of {method} already"
            )

    @contextmanager
    def _counted(self, method: str) -> Iterator[None]:
        self._calls[method] += 1
        try:
            yield
        finally:
            self._calls[method] -= 1

    async def _service(self, context: Context) -> str:
        """The service that a call asks about, once it has said so."""
        try:
            async with asyncio.timeout(self._request_seconds):
                request = await context.read()
        except TimeoutError:
            await context.abort(status_code(Code.DEADLINE_EXCEEDED), "the request did not arrive")
        if not isinstance(request, health_pb2.HealthCheckRequest):
            await context.abort(status_code(Code.CANCELLED), "the call ended before its request had come")
        return request.service
