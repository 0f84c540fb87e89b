"""The port of metrics: bounded in time and number, so that nobody who connects to it can hold a server up."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import AsyncExitStack, ExitStack

import pytest
from prometheus_client import CollectorRegistry, Gauge

from shared.errors import ConfigurationError
from shared.rpc import metrics_port
from shared.rpc.metrics_port import MetricsPort
from tests.shared.rpc.raw_http2 import closed, raw
from tests.shared.rpc.tls import scrape, scrape_if_allowed


def port_of(registry: CollectorRegistry | None = None, *, port: int = 0, seconds: float = 20.0) -> MetricsPort:
    registry = registry or CollectorRegistry()
    return MetricsPort(registry, host="127.0.0.1", port=port, context=None, request_seconds=seconds)


async def test_metrics_are_told() -> None:
    registry = CollectorRegistry()
    Gauge("pictures", "Pictures.", registry=registry).set(3)
    async with port_of(registry) as port:
        assert port.url == f"http://127.0.0.1:{port.port}/metrics"
        assert "pictures 3.0" in await scrape(port.url)


@pytest.mark.parametrize("sent", [b"", b"GET /metrics HTTP/1.1\r\nhost: a"], ids=["nothing", "half a head"])
async def test_request_that_never_ends_is_cut_off(sent: bytes) -> None:
    async with port_of(seconds=0.2) as port, raw(port.port, sent) as reader:
        assert await closed(reader)


async def test_request_that_arrives_byte_by_byte_is_cut_off() -> None:
    """Each byte in time, the whole never."""
    async with port_of(seconds=0.5) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
        ended = asyncio.create_task(closed(reader))
        async with asyncio.timeout(20):
            while not ended.done():
                writer.write(b"G")
                await asyncio.sleep(0.05)
        writer.close()


async def test_further_connections_are_closed_at_once_and_make_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_port, "_MOST_CONNECTIONS", 3)
    async with port_of(seconds=1.0) as port, AsyncExitStack() as slow:
        before = threading.active_count()
        readers = [await slow.enter_async_context(raw(port.port, b"")) for _ in range(20)]
        assert all(await asyncio.gather(*map(closed, readers[3:])))
        assert threading.active_count() <= before + 3
        assert all(await asyncio.gather(*map(closed, readers[:3])))
        async with asyncio.timeout(20):  # until their threads have ended
            while "200 OK" not in await scrape_if_allowed(port.url):
                await asyncio.sleep(0.02)


async def test_taken_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"^cannot listen on 127.0.0.1:{port} for metrics: "):
            await port_of(port=port).__aenter__()


async def test_port_that_accepts_no_more_does_not_hold_up_the_stop() -> None:
    with ExitStack() as knocks:
        async with asyncio.timeout(20), port_of() as port:
            await asyncio.to_thread(port._server.shutdown)
            for _ in range(2 * port._server.request_queue_size):  # further ones stand for minutes
                knock = knocks.enter_context(socket.socket())
                knock.setblocking(False)
                knock.connect_ex(("127.0.0.1", port.port))
