"""Equal calls to a gateway whose services are held until all of them are there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from diptych.gateway.v1 import gateway_pb2
from gateway.settings import SERVICES
from tests.gateway.fake_platform import Platform
from tests.gateway.fake_services import FakeReplica

LONG = 40.0
"""Seconds: only a call that hangs takes so long."""
PICTURE = gateway_pb2.TextToImageRequest(prompt="a cat", seeds=[7])


async def ask(method: Any, request: Any, timeout: float = LONG, *entries: tuple[str, str]) -> Any:
    """One call with its metadata."""
    return await method(request, timeout=timeout, metadata=entries)


async def until(condition: Callable[[], object], seconds: float = LONG) -> None:
    """Returns once it holds."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it never came to hold"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def held(fake: FakeReplica) -> AsyncIterator[None]:
    """Calls that reach the fake wait until the block ends."""
    fake.behaviour.released.clear()
    try:
        yield
    finally:
        fake.behaviour.released.set()


def sample(platform: Platform, name: str, service: str | None = None) -> float:
    """The value of a metric of the gateway."""
    return platform.registry.get_sample_value(name, {"service": service} if service else {}) or 0.0


class Joined:
    """Counts the calls that have joined another one since this was made."""

    def __init__(self, platform: Platform, service: str) -> None:
        self._platform, self._service = platform, service
        self._before = self._now()

    def _now(self) -> float:
        return sample(self._platform, "diptych_downstream_joined_total", self._service)

    async def are(self, count: int) -> None:
        """Returns once there are so many."""
        await until(lambda: self._now() - self._before >= count)
        assert self._now() - self._before == count


async def held_calls(
    platform: Platform, service: str, calls: Sequence[Callable[[], Awaitable[Any]]]
) -> list[asyncio.Future[Any]]:
    """Starts calls, each when the one before has reached the service or joined; they are still held."""
    joined = Joined(platform, service)
    fake: FakeReplica = getattr(platform, service)[0]
    running: list[asyncio.Future[Any]] = []
    for count, call in enumerate(calls):
        running.append(asyncio.ensure_future(call()))
        await (joined.are(count) if count else until(lambda: fake.calls))
    return running


async def services_are_known(platform: Platform) -> None:
    """A call ahead of that is in any space, and another one than those in the space that is found then."""
    for service in SERVICES:
        labels = {"service": service, "state": "serving"}
        await until(lambda labels=labels: platform.registry.get_sample_value("diptych_replicas", labels))  # type: ignore[misc]


async def nothing_is_under_way(platform: Platform) -> None:
    """Every gauge of the gateway's calls comes back to exactly 0."""
    for service in SERVICES:
        await until(lambda service=service: sample(platform, "diptych_downstream_in_flight", service) == 0.0)  # type: ignore[misc]
