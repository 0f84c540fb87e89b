"""Fixtures: tiny models, one platform of five processes for all tests, and launchers for servers that a test harms."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from diptych.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from services.training.tiny import write_tiny_models
from shared.rpc.channel import open_channel
from tests.end_to_end.calls import Connect, Stubs
from tests.end_to_end.servers import SERVERS, SERVICES, Launcher, Server, leftovers, new_mark, wait_until

MAX_MESSAGE_BYTES = 128 * 1024 * 1024
"""Of test clients: above the servers' limit, so that it is theirs that is met."""


@dataclass(frozen=True, kw_only=True)
class Platform:
    """Four model services and a gateway over them, all SERVING."""

    text: Server
    classification: Server
    generation: Server
    captioning: Server
    gateway: Server

    def __getitem__(self, name: str) -> Server:
        server: Server = getattr(self, name)
        return server

    def targets(self, **others: str) -> dict[str, str]:
        """Replicas by service, for another gateway over these services or `others`."""
        return {name: self[name].address for name in SERVICES} | others


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Model directories by service, of one joint space."""
    return write_tiny_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def other_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models of the same shapes with other weights in another joint space."""
    return write_tiny_models(tmp_path_factory.mktemp("other_models"), seed=1, space="other")


@pytest.fixture(scope="session")
def run_mark() -> Iterator[str]:
    """Marks every process of this run; when the run ends, none may be left."""
    mark = new_mark()
    yield mark
    try:
        wait_until(lambda: not leftovers(mark), "every process of the run has ended", seconds=10.0)
    finally:
        for process in leftovers(mark):
            process.kill()


@pytest.fixture(scope="session")
def platform(
    tiny_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, run_mark: str
) -> Iterator[Platform]:
    """The platform that all tests share; whoever harms a process starts one of their own."""
    launcher = Launcher(tiny_models, tmp_path_factory.mktemp("platform_logs"), run_mark)
    try:
        services = {name: launcher.service(name) for name in SERVICES}
        gateway = launcher.gateway({name: server.address for name, server in services.items()})
        for server in launcher.servers:
            server.wait_serving()
        _wait_until_all_are_known(gateway)
        yield Platform(gateway=gateway, **services)
        assert {server.name: server.terminate() for server in reversed(launcher.servers)} == dict.fromkeys(SERVERS, 0)
    finally:
        launcher.stop_all()


def _wait_until_all_are_known(gateway: Server) -> None:
    """A gateway serves before its first look at the replicas ends; a call waits for them, what it tells does not."""
    with grpc.insecure_channel(gateway.address) as channel:
        stub: Any = gateway_pb2_grpc.GatewayServiceStub(channel)
        request = gateway_pb2.GetCapabilitiesRequest()
        wait_until(
            lambda: all(service.models for service in stub.GetCapabilities(request, timeout=10.0).services),
            "the gateway knows them",
        )


@pytest.fixture
def launcher(tiny_models: dict[str, Path], tmp_path: Path, run_mark: str) -> Iterator[Launcher]:
    """Starts servers for one test, and ends them after it."""
    launcher = Launcher(tiny_models, tmp_path, run_mark)
    yield launcher
    launcher.stop_all()


@pytest.fixture
def light_launcher(tiny_models: dict[str, Path], tmp_path: Path, run_mark: str) -> Iterator[Launcher]:
    """The same, of services without torch: for tests of what goes on around the models."""
    launcher = Launcher(tiny_models, tmp_path, run_mark, light=True)
    yield launcher
    launcher.stop_all()


@pytest_asyncio.fixture
async def connect() -> AsyncIterator[Connect]:
    """Opens channels to servers and closes them after the test."""
    channels: list[grpc.aio.Channel] = []

    def connect(server: Server) -> Stubs:
        channels.append(open_channel(server.address, max_message_bytes=MAX_MESSAGE_BYTES))
        return Stubs(channels[-1])

    yield connect
    for channel in channels:
        await channel.close()
