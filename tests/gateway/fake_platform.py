"""A gateway over fake model services: in this process, as one process, or as the modules that `up` and `demo` start.

`python -m tests.gateway.fake_platform` prints the gateway's address and serves until standard input ends.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from diptych.gateway.v1 import gateway_pb2_grpc
from gateway.__main__ import gateway_server
from gateway.settings import SERVICES, GatewaySettings
from shared.rpc.channel import open_channel
from tests.gateway.behaviour import Behaviour
from tests.gateway.fake_services import FakeReplica

if TYPE_CHECKING:
    GatewayStub = gateway_pb2_grpc.GatewayServiceAsyncStub


FAKE_MODULES: dict[str, tuple[str, ...]] = {
    **{service: ("tests.gateway.fake_services", service) for service in SERVICES},
    "gateway": ("gateway",),
}
"""What a LocalPlatform runs instead of the real services."""

PATIENT = GatewaySettings(replica_wait_seconds=20, encoding_cache_bytes=0)
"""However busy the machine, replicas that serve are found; and every call reaches them."""


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
    settings = (settings or PATIENT).model_copy(update={"port": 0, **targets})
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


async def _serve() -> None:
    async with running_platform() as platform:
        sys.stdout.write(f"{platform.address}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
