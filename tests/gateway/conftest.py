"""A gateway over four fake model services, all on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from diptych.gateway.v1 import gateway_pb2_grpc
from gateway.__main__ import gateway_server
from gateway.settings import SERVICES, GatewaySettings
from shared.rpc.channel import open_channel
from tests.gateway.fake_services import Behaviour, FakeReplica

if TYPE_CHECKING:
    GatewayStub = gateway_pb2_grpc.GatewayServiceAsyncStub


@dataclass
class Platform:
    """A running gateway, its fakes by service, and a stub to call it."""

    text: list[FakeReplica]
    classification: list[FakeReplica]
    generation: list[FakeReplica]
    captioning: list[FakeReplica]
    registry: CollectorRegistry
    address: str
    stub: GatewayStub


@asynccontextmanager
async def running_platform(
    settings: GatewaySettings | None = None, **behaviours: list[Behaviour]
) -> AsyncIterator[Platform]:
    """Starts a fake a behaviour (one a service if not said) and a gateway in front of them."""
    fakes = {
        service: [FakeReplica(service, each) for each in behaviours.get(service, [Behaviour()])] for service in SERVICES
    }
    everyone = [fake for group in fakes.values() for fake in group]
    await asyncio.gather(*(fake.start() for fake in everyone))
    targets = {f"{service}_targets": ",".join(each.address for each in fakes[service]) for service in SERVICES}
    settings = (settings or GatewaySettings()).model_copy(update={"port": 0, **targets})
    registry = CollectorRegistry()
    gateway = gateway_server(settings, registry)
    server = await gateway.__aenter__()
    address = f"127.0.0.1:{server.port}"
    channel = open_channel(address, max_message_bytes=settings.max_message_bytes)
    try:
        stub = gateway_pb2_grpc.GatewayServiceStub(channel)
        yield Platform(registry=registry, address=address, stub=stub, **fakes)
    finally:
        await channel.close()
        # At once: each waits up to half a second for its metrics server.
        await asyncio.gather(gateway.__aexit__(None, None, None), *(fake.kill() for fake in everyone))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_platform() -> AsyncIterator[Platform]:
    """One platform for all tests that leave it as it was."""
    async with running_platform() as running:
        yield running


@pytest.fixture
def platform(shared_platform: Platform) -> Platform:
    """The shared platform with fakes that have seen nothing yet."""
    for service in SERVICES:
        for fake in getattr(shared_platform, service):
            fake.behaviour.reset()
    return shared_platform
