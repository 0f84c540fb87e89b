"""The playground's HTTP server, in the gateway's event loop; with `connections.py` all that knows uvicorn."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import uvicorn

from diptych.gateway.v1 import gateway_pb2_grpc
from gateway.settings import GatewaySettings
from gateway.web.bodies import PATH, BoundedBodies, body_limits
from gateway.web.calls import connect_application
from gateway.web.connections import Connection, ConnectionLimits
from gateway.web.handshakes import HandshakingListener
from gateway.web.names import names_for
from gateway.web.site import Site, page_assets
from shared.errors import ConfigurationError
from shared.rpc.connections import host_and_port
from shared.rpc.handling import CallHandling

_LAST_BYTES_SECONDS = 2
"""Time for the ends of answers; by then the gateway has drained, so no call is under way unless it took too long."""

_log = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        tls: ssl.SSLContext | None,
        *,
        most_handshakes: int,
        handshake_seconds: float,
    ) -> None:
        super().__init__(config)
        self._listener = listener
        self._tls = tls
        self._most_handshakes = most_handshakes
        self._handshake_seconds = handshake_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn would make the certificate's context itself, once, wait a minute for each handshake, and for any
        number of them."""
        await super().startup(sockets=[])
        protocol = partial(
            self.config.http_protocol_class,
            config=self.config,  # type: ignore[call-arg]  # it is typed as any protocol
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        self.servers.append(await self._listening(protocol))

    async def _listening(self, protocol: Callable[[], asyncio.Protocol]) -> Any:
        if self._tls is None:
            return await asyncio.get_running_loop().create_server(protocol, sock=self._listener)
        return HandshakingListener(
            self._listener,
            protocol,
            self._tls,
            most=self._most_handshakes,
            seconds=self._handshake_seconds,
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the gateway's: it drains first."""
        yield


@asynccontextmanager
async def web_front(
    settings: GatewaySettings,
    servicer: gateway_pb2_grpc.GatewayServiceServicer,
    handling: CallHandling,
    *,
    grpc_port: int,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serves the playground, over HTTPS with `tls`, and yields its port; to be left when the gateway has drained.

    Raises:
        ConfigurationError: the port is taken, or the address is none of this machine's.
    """
    calls = connect_application(servicer, handling, max_message_bytes=settings.max_message_bytes)
    bounded = BoundedBodies(calls, handling, body_limits(settings))
    site = Site(
        page_assets(grpc_port=grpc_port, limits=_limits(settings)),
        bounded,
        PATH,
        names_for(settings.host, settings.further_web_names()),
    )
    limits = ConnectionLimits(most=settings.web_connections, idle_seconds=settings.web_read_seconds)
    listener = _listen(settings.host, settings.web_port or 0)
    config = uvicorn.Config(
        site,
        http=partial(Connection, limits=limits),  # type: ignore[arg-type]  # it is called like a class
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_LAST_BYTES_SECONDS,
    )
    server = _Server(
        config,
        listener,
        tls,
        most_handshakes=settings.web_connections,
        handshake_seconds=settings.handshake_seconds,
    )
    serving = asyncio.create_task(server.serve())
    try:
        port: int = listener.getsockname()[1]
        _log.info("playground on http%s://%s/", "s" if tls else "", host_and_port(settings.host, port))
        yield port
    finally:
        server.should_exit = True
        await serving


def _limits(settings: GatewaySettings) -> dict[str, int]:
    """What the page refuses before it is sent."""
    return {
        "promptCharacters": settings.max_prompt_characters,
        "images": settings.max_images,
        "captionCandidates": settings.max_caption_candidates,
        "labels": settings.max_labels,
        "imageBytes": settings.max_image_bytes,
    }


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()  # from here on connections wait for the server instead of being refused
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host}:{port} for the playground: {error}") from error
    listener.setblocking(False)
    return listener
