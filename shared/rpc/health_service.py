"""grpc.health.v1 for an event loop, where no watcher can hold up another, and there are only so many.

grpcio-health-checking's own writes to each watcher under the lock that all others and `set` wait for: one stranger
with a window of 0 bytes kept everybody from watching, and the server from draining.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

if TYPE_CHECKING:  # generic in the stubs, not at run time
    Context = grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]


class HealthService(health_pb2_grpc.HealthServicer):
    """What a server's services are, for those who ask once and those who watch.

    Args:
        most_watches: that may be open at once, since nobody says who watches; further ones end with RESOURCE_EXHAUSTED.
    """

    def __init__(self, *, most_watches: int) -> None:
        self._most_watches = most_watches
        self._watches = 0
        self._states: dict[str, int] = {}
        self._change = asyncio.Event()

    def set(self, service: str, state: int) -> None:
        """What is said of a service from now on; those who watch are told, each as fast as it reads."""
        self._states[service] = state
        # Wakes every watcher once; they wait for the next change on another.
        self._change.set()
        self._change = asyncio.Event()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> health_pb2.HealthCheckResponse:
        """The state of a service; NOT_FOUND of one that is none of ours."""
        if (state := self._states.get(request.service)) is None:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return health_pb2.HealthCheckResponse(status=state)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:
        """The state of a service, and again whenever it is another; SERVICE_UNKNOWN of one that is none of ours."""
        if self._watches >= self._most_watches:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "as many watch this server as may; Check answers")
        self._watches += 1
        try:
            told: int | None = None
            while True:
                change = self._change  # what comes while this one is told, is not missed
                state = self._states.get(request.service, health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)
                if state != told:
                    await context.write(health_pb2.HealthCheckResponse(status=state))
                    told = state
                await change.wait()
        finally:
            self._watches -= 1
