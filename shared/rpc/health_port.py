"""A port for probes, with health alone and in plain text: whoever starts and stops servers has no certificate."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import grpc

from shared.rpc.connections import connection_options, listen
from shared.rpc.health_service import HealthService
from shared.rpc.interceptors import WatchInterceptor
from shared.settings import ServerSettings

LIVE = "live"
"""The service that is SERVING as long as the process is there, whatever becomes of its model and its queue."""
_STOP_SECONDS = 1.0
_REQUEST_BYTES = 4096

_log = logging.getLogger(__name__)


class HealthPort:
    """grpc.health.v1, Check and Watch, and nothing else; inside `async with` it listens.

    Args:
        settings: where to listen.
        services: names that say whether the server serves, besides `live`.
    """

    def __init__(self, settings: ServerSettings, services: Sequence[str]) -> None:
        self._settings = settings
        self._services = tuple(services)
        self._health = HealthService(most_calls=settings.max_connections, request_seconds=settings.handshake_seconds)
        self._watches = WatchInterceptor(())
        options = [*connection_options(settings), ("grpc.max_receive_message_length", _REQUEST_BYTES)]
        self._grpc = grpc.aio.server(interceptors=[self._watches], options=options)
        self._health.add_to(self._grpc)
        self.port = 0
        """Once it listens."""

    async def __aenter__(self) -> Self:
        """Listens; only `live` is SERVING yet.

        Raises:
            ConfigurationError: the port is taken.
        """
        self.set_serving(False)
        self._health.set_serving([LIVE], True)
        self.port = listen(self._grpc, self._settings.host, self._settings.health_port or 0, purpose="health")
        await self._grpc.start()
        _log.info("health on %s:%d", self._settings.host, self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watches.end_streams()
        await self._grpc.stop(grace=_STOP_SECONDS)

    def set_serving(self, serving: bool) -> None:
        """What all services but `live` say."""
        self._health.set_serving(self._services, serving)
