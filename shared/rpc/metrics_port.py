"""The port of `/metrics`, over HTTP or HTTPS; in threads, so that a scrape holds up no call."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from types import TracebackType
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from shared.errors import ConfigurationError
from shared.rpc.connections import host_and_port

_MOST_CONNECTIONS = 32
"""Each is a thread; those who scrape are a few."""
_LOOK_SECONDS = 0.5
"""Between two looks for connections that take too long."""
_KNOCK_SECONDS = 0.1
"""The most that a connection to the own port takes, while somebody accepts it."""


class MetricsPort:
    """One request a connection, each bounded in time; inside `async with` it listens.

    Args:
        registry: what is shown.
        host: address to listen on.
        port: 0 takes a free one.
        context: for HTTPS; its callers' certificates are asked for as it says.
        request_seconds: the longest from a connection to the end of its answer.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        host: str,
        port: int,
        context: ssl.SSLContext | None,
        request_seconds: float,
    ) -> None:
        self._registry = registry
        self._host = host
        self._wanted = port
        self._context = context
        self._request_seconds = request_seconds
        self.port = 0
        """Once it listens."""

    async def __aenter__(self) -> Self:
        """Listens.

        Raises:
            ConfigurationError: the port is taken, or the address is none of this machine's.
        """
        try:
            self._server = _BoundedServer(
                self._host, self._wanted, context=self._context, request_seconds=self._request_seconds
            )
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {self._host}:{self._wanted} for metrics: {error}") from error
        self._server.set_app(make_wsgi_app(self._registry))
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(_LOOK_SECONDS,), daemon=True).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stopping = asyncio.create_task(asyncio.to_thread(self._server.shutdown))
        while not stopping.done():
            # Its loop looks at the end of every half second, or when somebody knocks, whether it shall end.
            # At the door of a loop that has just ended a knock would stand for minutes.
            with contextlib.suppress(OSError):
                async with asyncio.timeout(_KNOCK_SECONDS):
                    _, knock = await asyncio.open_connection(self._host, self.port)
                knock.close()
            await asyncio.wait([stopping], timeout=0.02)
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where the metrics are."""
        return f"http{'s' if self._context else ''}://{host_and_port(self._host, self.port)}/metrics"


class _BoundedServer(ThreadingWSGIServer):
    """prometheus-client's, with few connections, each for a while: its own waits for ever for who sends nothing, and
    makes the TLS handshake of one caller while all others wait.
    """

    request_queue_size = 64

    def __init__(self, host: str, port: int, *, context: ssl.SSLContext | None, request_seconds: float) -> None:
        self._context = context
        self._request_seconds = request_seconds
        self._open: dict[int, tuple[socket.socket, float]] = {}
        """By thread, each with the time at which it is cut off."""
        self._slots = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        self.address_family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        super().__init__((str(address[0]), int(address[1])), _SilentHandler)

    def server_bind(self) -> None:
        """As WSGIServer, without asking a name server for the own name, which takes seconds where none answers."""
        socket_address: Any = self.server_address
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(socket_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for one more."""
        return self._slots.acquire(blocking=False)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begins a connection's thread."""
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system has no thread to give
            self._slots.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One connection, in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.pop(threading.get_ident(), None)
            self._slots.release()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Its handshake, if any, and its request."""
        if self._context is not None:
            request = self._context.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        with request:
            self._open[threading.get_ident()] = request, time.monotonic() + self._request_seconds
            if self._context is not None:
                request.do_handshake()
            super().finish_request(request, client_address)

    def service_actions(self) -> None:
        """Cuts off who has taken too long."""
        now = time.monotonic()
        for connection, until in tuple(self._open.values()):
            if now > until:
                with contextlib.suppress(OSError):
                    # Not the method of ssl's: the thread that reads would meet it half closed.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers who leave, or whom TLS refuses, are no news."""


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # as it is inherited
        """Logs no request."""
