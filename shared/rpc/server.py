"""The life of a gRPC server process: listen, say SERVING, drain on SIGTERM; knows no service and no model."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self

import grpc
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry, start_http_server

from shared.errors import ConfigurationError
from shared.metrics import RpcMetrics
from shared.rpc.call_spans import open_tracer
from shared.rpc.calls_in_flight import CallsInFlight
from shared.rpc.channel import message_limits
from shared.rpc.handling import CallHandling
from shared.rpc.interceptors import CallInterceptor, Metadata, WatchInterceptor
from shared.settings import ServerSettings

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

_STOP_SECONDS = 5.0
"""The most that a drained server waits for what is on its way through gRPC: refusals, ends of streams."""
_KNOCK_SECONDS = 0.1
"""The most that a connection to the own metrics port takes, while somebody accepts it."""

_log = logging.getLogger(__name__)


class Server:
    """One gRPC port with health, reflection and `/metrics`; inside `async with` it listens.

    Args:
        settings: where to listen and how to stop.
        registry: what `/metrics` shows; the RPC metrics are added to it.
        services: full names of the services that will be added to `grpc`.
        trailing: trailing metadata for every answer.
        watch_metadata: initial metadata of Health.Watch streams.
    """

    def __init__(
        self,
        settings: ServerSettings,
        registry: CollectorRegistry,
        *,
        services: Sequence[str],
        trailing: Callable[[], Metadata] = tuple,
        watch_metadata: Metadata = (),
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._services = ("", *services)
        self._calls = CallsInFlight()
        self._tracer = open_tracer(settings, services)
        self.handling = CallHandling(self._calls, RpcMetrics(registry), tracer=self._tracer, call_log=settings.call_log)
        """For another front of the same servicers: its calls then count, fail and drain like those of gRPC."""
        self.handling.expect(method for service in services for method in _methods(service))
        self._health = HealthServicer()
        self._watches = WatchInterceptor(watch_metadata)
        self._draining = False
        self._stop = asyncio.Event()
        self.port = 0
        """The port of gRPC, once it listens."""
        self.metrics_port = 0
        """The port of `/metrics`, once it listens."""
        self.grpc = grpc.aio.server(
            interceptors=[
                CallInterceptor(self.handling, self._calls, trailing),
                self._watches,
            ],
            options=[
                *message_limits(receive=settings.receive_bytes, send=settings.max_message_bytes),
                # A taken port is an error; by default two processes would share it silently.
                ("grpc.so_reuseport", 0),
                # Clients may ping every 5 s, and pings that piled up while this process got no CPU are no offence:
                # gRPC's defaults, 5 min and 2 strikes, tear the connection down with all its calls.
                ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
                ("grpc.http2.max_ping_strikes", 0),
                ("grpc.keepalive_permit_without_calls", 1),
            ],
        )
        """The server to add servicers to, before entering."""
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.grpc)
        names = [*services, "grpc.health.v1.Health", reflection.SERVICE_NAME]
        reflection.enable_server_reflection(names, self.grpc)

    async def __aenter__(self) -> Self:
        """Listens, not yet SERVING.

        Raises:
            ConfigurationError: a port is taken or the address is none of this machine's.
        """
        await self.set_serving(False)
        settings = self._settings
        try:
            _try_address(settings.host, settings.port)
            host = f"[{settings.host}]" if ":" in settings.host else settings.host
            self.port = self.grpc.add_insecure_port(f"{host}:{settings.port}")
        except (OSError, RuntimeError) as error:
            raise ConfigurationError(f"cannot listen on {settings.host}:{settings.port}: {error}") from error
        try:
            self._metrics_server, _ = start_http_server(settings.metrics_port, settings.host, self._registry)
        except OSError as error:
            address = f"{settings.host}:{settings.metrics_port}"
            raise ConfigurationError(f"cannot listen on {address} for metrics: {error}") from error
        self.metrics_port = self._metrics_server.server_port
        await self.grpc.start()
        loop = asyncio.get_running_loop()
        for sig in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sig, self._stop.set)
        _log.info(
            "gRPC on %s:%d, metrics on http://%s:%d/metrics", settings.host, self.port, settings.host, self.metrics_port
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drains and stops listening."""
        drained = await self._drain()
        await self._calls.wait_quiet()
        self._watches.end_streams()  # last, so that each has told its NOT_SERVING
        await self.grpc.stop(grace=_STOP_SECONDS if drained else 0)
        await self._stop_metrics()
        if self._tracer is not None:
            await self._tracer.close()

    async def _stop_metrics(self) -> None:
        stopping = asyncio.create_task(asyncio.to_thread(self._metrics_server.shutdown))
        while not stopping.done():
            # Its loop looks at the end of every half second, or when somebody knocks, whether it shall end.
            # At the door of a loop that has just ended a knock would stand for minutes.
            with contextlib.suppress(OSError):
                async with asyncio.timeout(_KNOCK_SECONDS):
                    _, knock = await asyncio.open_connection(self._settings.host, self.metrics_port)
                knock.close()
            await asyncio.wait([stopping], timeout=0.02)
        self._metrics_server.server_close()

    async def set_serving(self, serving: bool) -> None:
        """What health says, until a drain says NOT_SERVING for good."""
        if not self._draining:
            for service in self._services:
                await self._health.set(service, _SERVING if serving else _NOT_SERVING)

    async def run(self, failed: Awaitable[str] | None = None) -> str | None:
        """Serves until SIGTERM or SIGINT, or until `failed` completes, and returns its reason."""
        stopped = asyncio.ensure_future(self._stop.wait())
        failure = asyncio.ensure_future(failed) if failed is not None else None
        waits = [stopped] if failure is None else [stopped, failure]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                if not wait.done():
                    wait.cancel()
        if failure is not None and failure.done() and not failure.cancelled():
            return failure.result()
        return None

    async def _drain(self) -> bool:
        """NOT_SERVING at once, calls still taken for the delay, then refused, then all accepted finished.

        False when they did not finish in time.
        """
        settings = self._settings
        await self.set_serving(False)
        self._draining = True
        if settings.drain_delay_seconds and self._stop.is_set():
            await asyncio.sleep(settings.drain_delay_seconds)
        self._calls.refusing = True
        _log.info("draining: %d calls under way", len(self._calls))
        try:
            await asyncio.wait_for(self._calls.wait_none(), settings.drain_timeout_seconds)
        except TimeoutError:
            _log.warning("%d calls cancelled after %g s", len(self._calls), settings.drain_timeout_seconds)
            return False
        return True


def _methods(service: str) -> list[str]:
    """The methods of a service, as metrics name them."""
    methods = descriptor_pool.Default().FindServiceByName(service).methods
    return [f"{service}/{method.name}" for method in methods]


def _try_address(host: str, port: int) -> None:
    """Raises OSError when nobody could listen there; gRPC writes lines of its own about that, and not the reason."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
