"""What callers see when containers are killed, added, restarted and stopped under traffic."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.containers.building import SERVICES
from tests.containers.compose import Compose, wait_until
from tests.end_to_end.scrape import scrape
from tests.end_to_end.servers import SERVICES as FULL_NAMES
from tests.traffic import FLOWS, traffic

if TYPE_CHECKING:
    from tests.containers.conftest import GatewayStub

WITHOUT_CAPTIONS = {flow.__name__ for flow in FLOWS} - {"describe"}


def handled(compose: Compose, container: str) -> float:
    """Calls that a model service has ended, health and others aside."""
    metrics = scrape(9090, compose.address(container))
    return sum(
        metrics.total("diptych_rpc_requests_total", method=method)
        for method in {dict(labels).get("method", "") for name, labels in metrics.samples}
        if method.strip("/").startswith(tuple(FULL_NAMES.values()))
    )


async def healthy(compose: Compose, *containers: str) -> None:
    """Returns when all of them are."""
    await asyncio.to_thread(
        wait_until, lambda: {compose.health(each) for each in containers} == {"healthy"}, "containers are healthy"
    )


async def test_killed_service_comes_back_and_only_its_own_flow_fails_meanwhile(
    compose: Compose, gateway: GatewayStub
) -> None:
    [container] = compose.containers("captioning")
    async with traffic(gateway, callers=1, pause_seconds=0.2) as seen:
        await asyncio.sleep(1)
        compose.kill(container)
        await asyncio.to_thread(
            wait_until, lambda: compose.engine.inspect(container)["RestartCount"] == 1, "it is started again"
        )
        await healthy(compose, container)
    assert {failure.partition(":")[0] for failure in seen.failed} <= {"describe"}
    assert set(seen.answered) >= WITHOUT_CAPTIONS

    async with traffic(gateway, callers=1, pause_seconds=0.05) as seen:
        await asyncio.sleep(2)
    assert seen.failed == []
    assert "describe" in seen.answered


async def test_second_replica_of_classification_is_found_and_both_serve(compose: Compose, gateway: GatewayStub) -> None:
    await asyncio.to_thread(compose.scale, classification=2)
    replicas = compose.containers("classification")
    assert len(replicas) == 2
    before = [handled(compose, each) for each in replicas]

    async with traffic(gateway, callers=2, pause_seconds=0.05) as seen:
        await asyncio.to_thread(
            wait_until,
            lambda: all(handled(compose, each) > was + 5 for each, was in zip(replicas, before, strict=True)),
            "both replicas serve",
        )
    assert seen.failed == []


async def test_restart_of_one_of_two_replicas_of_each_service_fails_no_call(
    compose: Compose, gateway: GatewayStub
) -> None:
    await asyncio.to_thread(compose.scale, **dict.fromkeys(SERVICES, 2))
    await asyncio.sleep(4)  # the gateway looks the names up every 3 s
    async with traffic(gateway, callers=1, pause_seconds=0.3) as seen:
        for service in SERVICES:
            oldest = compose.containers(service)[0]
            await asyncio.to_thread(compose.engine.docker, "restart", "--time", "45", oldest)
            await healthy(compose, oldest)
            assert seen.failed == [], f"while {service} was restarted"
            await asyncio.sleep(4)
    assert seen.failed == []
    assert set(seen.answered) == {flow.__name__ for flow in FLOWS}


@pytest.mark.parametrize("server", ["text", "gateway"])
def test_stopped_container_drains_and_ends_with_0(server: str, compose: Compose) -> None:
    container = compose.containers(server)[0]
    compose.engine.docker("stop", "--time", "45", container)
    assert compose.state(container)["ExitCode"] == 0
    compose.engine.docker("start", container)
    wait_until(lambda: compose.health(container) == "healthy", "it serves again")
