"""Health Check and Watch of every process: SERVING when warm, NOT_SERVING while it drains."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from shared.rpc.health import watch_method
from tests.end_to_end.calls import CALL_SECONDS, Connect, Stubs
from tests.end_to_end.conftest import Platform
from tests.end_to_end.servers import GRPC_SERVICES, NOT_SERVING, SERVERS, SERVICES, SERVING, Launcher, Server

DRAIN_DELAY_SECONDS = 2.0
"""Long enough to ask for a server's health while it drains."""


@asynccontextmanager
async def watching(stubs: Stubs, service: str = "") -> AsyncIterator[AsyncIterator[int]]:
    """The states that Health.Watch tells."""
    call = watch_method(stubs.channel)(health_pb2.HealthCheckRequest(service=service), timeout=CALL_SECONDS)

    async def states() -> AsyncIterator[int]:
        async for answer in call:
            yield answer.status

    try:
        yield states()
    finally:
        call.cancel()


@pytest.mark.parametrize("name", SERVERS)
def test_check_says_serving_for_the_server_and_for_its_service(name: str, platform: Platform) -> None:
    assert platform[name].health() == SERVING
    assert platform[name].health(GRPC_SERVICES[name]) == SERVING


@pytest.mark.parametrize("name", SERVERS)
def test_check_of_an_unknown_service_is_not_found(name: str, platform: Platform) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        platform[name].health("diptych.nothing.v1.NothingService")

    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("name", SERVERS)
async def test_watch_says_serving_at_once(name: str, platform: Platform, connect: Connect) -> None:
    for service in ("", GRPC_SERVICES[name]):
        async with watching(connect(platform[name]), service) as states:
            assert await anext(states) == SERVING


@pytest.mark.parametrize("name", SERVICES)
async def test_watch_tells_the_model_in_its_initial_metadata(name: str, platform: Platform, connect: Connect) -> None:
    call = watch_method(connect(platform[name]).channel)(health_pb2.HealthCheckRequest(), timeout=CALL_SECONDS)
    metadata = dict(await call.initial_metadata() or ())
    call.cancel()

    assert metadata["diptych-space"] == "tiny"
    assert metadata["diptych-model-name"] == f"tiny-{name}"


@dataclass(frozen=True, kw_only=True)
class Drain:
    """What a client saw of a server that got SIGTERM."""

    watched: list[int]
    """By Health.Watch, to its end."""
    watch_end: grpc.StatusCode
    checked: int
    """By Health.Check after the watch told of it."""
    exit_code: int


def drain(server: Server) -> Drain:
    """Sends SIGTERM to a server under watch."""
    watched = []
    checked = -1
    with grpc.insecure_channel(server.address) as channel:
        request = health_pb2.HealthCheckRequest(service=GRPC_SERVICES[server.name])
        stub: Any = health_pb2_grpc.HealthStub(channel)
        call = stub.Watch(request, timeout=CALL_SECONDS)
        try:
            for answer in call:
                watched.append(answer.status)
                if answer.status == SERVING:
                    server.popen.send_signal(signal.SIGTERM)
                else:
                    checked = server.health()
        except grpc.RpcError:
            pass
        return Drain(watched=watched, watch_end=call.code(), checked=checked, exit_code=server.wait_ended())


@pytest.fixture(scope="module")
def drains(
    tiny_models: dict[str, Path], platform: Platform, tmp_path_factory: pytest.TempPathFactory, run_mark: str
) -> dict[str, Drain]:
    """The end of one server of each kind; the shared platform's are others' as well, and live on."""
    launcher = Launcher(tiny_models, tmp_path_factory.mktemp("drained_logs"), run_mark, light=True)
    delay = {"drain_delay_seconds": DRAIN_DELAY_SECONDS}
    try:
        servers = [launcher.service(name, **delay) for name in SERVICES]
        servers.append(launcher.gateway(platform.targets(), **delay))
        for server in servers:
            server.wait_serving()
        with ThreadPoolExecutor(len(servers)) as pool:
            return {server.name: seen for server, seen in zip(servers, pool.map(drain, servers), strict=True)}
    finally:
        launcher.stop_all()


@pytest.mark.parametrize("name", SERVERS)
def test_sigterm_makes_watch_and_check_say_not_serving_at_once(name: str, drains: dict[str, Drain]) -> None:
    assert drains[name].watched == [SERVING, NOT_SERVING]
    assert drains[name].checked == NOT_SERVING


@pytest.mark.parametrize("name", SERVERS)
def test_watch_of_a_server_that_stops_is_ended_with_unavailable(name: str, drains: dict[str, Drain]) -> None:
    assert drains[name].watch_end == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("name", SERVERS)
def test_server_that_got_sigterm_ends_with_exit_code_0(name: str, drains: dict[str, Drain]) -> None:
    assert drains[name].exit_code == 0
