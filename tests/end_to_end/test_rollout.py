"""Models of another joint space are rolled out under traffic: no call fails, and none mixes spaces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.rpc.channel import open_channel
from tests.end_to_end.calls import Stubs
from tests.end_to_end.servers import SERVICES, Launcher, Server
from tests.traffic import Traffic, traffic

SPACES = ("tiny", "other")


@dataclass
class Fleet:
    """Two replicas a service, all of one space, and a gateway that knows their addresses."""

    models: dict[str, dict[str, Path]]
    """Model directories by space and service."""
    replicas: dict[str, tuple[Server, Server]]
    gateway: Server
    space: str

    @property
    def next_space(self) -> str:
        """The other one."""
        return SPACES[1 - SPACES.index(self.space)]

    def start(self, service: str, place: int, space: str) -> None:
        """Starts a replica that is down, with the model of a space."""
        server = self.replicas[service][place]
        server.environment = {**server.environment, "DIPTYCH_MODEL_DIRECTORY": str(self.models[space][service])}
        server.start()
        server.wait_serving()

    def stop(self, service: str, place: int) -> None:
        """SIGTERM."""
        assert self.replicas[service][place].terminate() == 0


@pytest.fixture(scope="module")
def fleet(
    tiny_models: dict[str, Path],
    other_models: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
    run_mark: str,
) -> Iterator[Fleet]:
    """Eight services and a gateway, for the tests of this file: each leaves all of them in the other space."""
    launcher = Launcher(tiny_models, tmp_path_factory.mktemp("rollout_logs"), run_mark, light=True)
    try:
        replicas = {name: (launcher.service(name), launcher.service(name)) for name in SERVICES}
        targets = {name: f"{one.address},{two.address}" for name, (one, two) in replicas.items()}
        gateway = launcher.gateway(targets, encoding_cache_bytes=1_000_000)
        for server in launcher.servers:
            server.wait_serving()
        models = dict(zip(SPACES, (tiny_models, other_models), strict=True))
        yield Fleet(models=models, replicas=replicas, gateway=gateway, space=SPACES[0])
    finally:
        launcher.stop_all()


@asynccontextmanager
async def calls(fleet: Fleet) -> AsyncIterator[Traffic]:
    """A caller a flow, with pauses: the cores are for what starts."""
    async with open_channel(fleet.gateway.address, max_message_bytes=1 << 26) as channel:
        async with traffic(Stubs(channel).gateway, callers=1, pause_seconds=0.2) as seen:
            yield seen


async def test_replicas_replaced_one_by_one_fail_no_call(fleet: Fleet) -> None:
    before, after = fleet.space, fleet.next_space
    async with calls(fleet) as seen:
        await asyncio.sleep(0.5)
        for place in (0, 1):
            for service in SERVICES:
                answered = len(seen.spaces)
                await asyncio.to_thread(fleet.stop, service, place)
                await asyncio.to_thread(fleet.start, service, place, after)
                assert len(seen.spaces) > answered  # while it was away
        fleet.space = after
        await seen.settles_in(after)
    seen.check(before=before, after=after)


async def test_single_replicas_replaced_by_others_beside_them_fail_no_call(fleet: Fleet) -> None:
    before, after = fleet.space, fleet.next_space
    await asyncio.gather(*(asyncio.to_thread(fleet.stop, service, 1) for service in SERVICES))
    async with calls(fleet) as seen:
        await asyncio.sleep(0.5)
        await asyncio.gather(*(asyncio.to_thread(fleet.start, service, 1, after) for service in SERVICES))
        for service in SERVICES:
            await asyncio.to_thread(fleet.stop, service, 0)
        fleet.space = after
        await seen.settles_in(after)
    seen.check(before=before, after=after)
