"""The life of a gRPC server process: listen, say SERVING, drain on SIGTERM; knows no service and no model."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import grpc
from google.protobuf import descriptor_pool
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry

from shared.metrics import CertificateMetrics, RpcMetrics
from shared.rpc.access import Access
from shared.rpc.call_spans import open_tracer
from shared.rpc.calls_in_flight import CallsInFlight
from shared.rpc.channel import message_limits
from shared.rpc.connections import connection_options, listen
from shared.rpc.credentials import followed_server_certificates, server_context, server_credentials
from shared.rpc.handling import CallHandling
from shared.rpc.health_port import HealthPort
from shared.rpc.health_service import HealthService
from shared.rpc.interceptors import CallInterceptor, Metadata, WatchInterceptor
from shared.rpc.metrics_port import MetricsPort
from shared.settings import ServerSettings

_STOP_SECONDS = 5.0
"""The most that a drained server waits for what is on its way through gRPC: refusals, ends of streams."""

_log = logging.getLogger(__name__)


class Server:
    """One gRPC port with health and reflection, `/metrics`, and probes' port; inside `async with` they listen.

    Args:
        settings: where to listen and how to stop.
        registry: what `/metrics` shows; the RPC metrics are added to it.
        services: full names of the services that will be added to `grpc`.
        trailing: trailing metadata for every answer.
        watch_metadata: initial metadata of Health.Watch streams.
        access: who may call; anybody, where it is None. Health and reflection are open.

    Raises:
        ConfigurationError: the settings' certificates cannot be used, or others could reach it and nothing protects it.
    """

    def __init__(
        self,
        settings: ServerSettings,
        registry: CollectorRegistry,
        *,
        services: Sequence[str],
        trailing: Callable[[], Metadata] = tuple,
        watch_metadata: Metadata = (),
        access: Access | None = None,
    ) -> None:
        settings.check_exposure()
        self._settings = settings
        self._services = ("", *services)
        self._calls = CallsInFlight()
        self._tracer = open_tracer(settings, services)
        self.handling = CallHandling(
            self._calls, RpcMetrics(registry), access, tracer=self._tracer, call_log=settings.call_log
        )
        """For another front of the same servicers: its calls then count, fail and drain like those of gRPC."""
        self.handling.expect(method for service in services for method in _methods(service))
        self._health = HealthService(most_calls=settings.max_connections, request_seconds=settings.handshake_seconds)
        self._watches = WatchInterceptor(watch_metadata)
        self._draining = False
        self._stop = asyncio.Event()
        self.port = 0
        """The port of gRPC, once it listens."""
        certificates = followed_server_certificates(settings)
        self._certificates = certificates
        self.tls = None if certificates is None else server_context(certificates)
        """What further ports of this server show their callers and ask of them; None without TLS."""
        if certificates is not None:
            CertificateMetrics(registry).expiry.set_function(lambda: certificates.pem.expires)
        self._metrics = MetricsPort(
            registry,
            host=settings.host,
            port=settings.metrics_port,
            context=self.tls,
            request_seconds=settings.handshake_seconds,
        )
        self._probes = None if settings.health_port is None else HealthPort(settings, self._services)
        self._beside = AsyncExitStack()
        """All that listens or runs beside gRPC; left after it."""
        self.grpc = grpc.aio.server(
            interceptors=[
                CallInterceptor(self.handling, self._calls, trailing),
                self._watches,
            ],
            options=[
                *message_limits(receive=settings.receive_bytes, send=settings.max_message_bytes),
                *connection_options(settings),
            ],
        )
        """The server to add servicers to, before entering."""
        self._health.add_to(self.grpc)
        if settings.reflects:
            names = [*services, "grpc.health.v1.Health", reflection.SERVICE_NAME]
            reflection.enable_server_reflection(names, self.grpc)

    @property
    def metrics_port(self) -> int:
        """The port of `/metrics`, once it listens."""
        return self._metrics.port

    @property
    def health_port(self) -> int | None:
        """The port for probes, once it listens; None where there is none."""
        return None if self._probes is None else self._probes.port

    async def __aenter__(self) -> Self:
        """Listens, not yet SERVING.

        Raises:
            ConfigurationError: a port is taken or the address is none of this machine's.
        """
        async with AsyncExitStack() as entered:
            if self._certificates is not None:
                await entered.enter_async_context(self._certificates)
            if self._probes is not None:
                await entered.enter_async_context(self._probes)
            await self.set_serving(False)
            settings = self._settings
            credentials = None if self._certificates is None else server_credentials(self._certificates)
            self.port = listen(self.grpc, settings.host, settings.port, credentials=credentials)
            await entered.enter_async_context(self._metrics)
            await self.grpc.start()
            self._beside = entered.pop_all()
        loop = asyncio.get_running_loop()
        for sig in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sig, self._stop.set)
        tls = "" if self._certificates is None else " over TLS"
        _log.info("gRPC on %s:%d%s, metrics on %s", settings.host, self.port, tls, self._metrics.url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drains and stops listening."""
        drained = await self._drain()
        await self._calls.wait_quiet()
        self._watches.end_streams()  # last, so that each has told its NOT_SERVING
        await self.grpc.stop(grace=_STOP_SECONDS if drained else 0)
        await self._beside.aclose()
        if self._tracer is not None:
            await self._tracer.close()

    async def set_serving(self, serving: bool) -> None:
        """What health says, until a drain says NOT_SERVING for good."""
        if not self._draining:
            self._health.set_serving(self._services, serving)
            if self._probes is not None:
                self._probes.set_serving(serving)

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
