"""Fixtures of the container stage, `make test-containers`: images, an engine, and the platform in Compose."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
import pytest_asyncio

from diptych.gateway.v1 import gateway_pb2_grpc
from tests.containers import building
from tests.containers.building import SERVERS, image
from tests.containers.compose import Compose, configuration
from tests.containers.engine import DockerEngine
from tests.containers.machine import KEPT, require
from tests.containers.stand_ins import make_monitoring_image

if TYPE_CHECKING:  # present in the stubs only
    GatewayStub = gateway_pb2_grpc.GatewayServiceAsyncStub

MONITORING = ("prometheus", "alertmanager")
"""What runs beside the servers. Debian has no Grafana, so that it stays out."""


@pytest.fixture(scope="session")
def images() -> Iterator[list[str]]:
    """The names of all images, built; before the engine, since building needs the machine's own network."""
    require()
    KEPT.mkdir(exist_ok=True)
    with (KEPT / "lock").open("w") as lock:  # one run at a time: storage and namespace are one
        fcntl.flock(lock, fcntl.LOCK_EX)
        building.build_all()
        services = configuration()["services"]
        names = {name: str(services[name]["image"]) for name in MONITORING}
        make_monitoring_image(names["prometheus"], "prometheus", ["prometheus", "promtool"], "/prometheus")
        make_monitoring_image(
            names["alertmanager"], "prometheus-alertmanager", ["prometheus-alertmanager", "amtool"], "/alertmanager"
        )
        yield [*(image(server) for server in SERVERS), *names.values()]


@pytest.fixture(scope="session")
def engine(images: list[str]) -> Iterator[DockerEngine]:
    """A dockerd that has them; stopped, and all its traces removed, however the tests end."""
    with DockerEngine() as engine:
        with tempfile.TemporaryDirectory(dir=KEPT) as folder:
            archive = Path(folder) / "images.tar"
            building.save(images, archive)
            engine.docker("load", "--quiet", "--input", archive, seconds=300)
        for server in SERVERS:
            engine.docker("tag", f"localhost/{image(server)}", image(server))
        yield engine


@pytest.fixture(scope="session")
def compose(engine: DockerEngine) -> Iterator[Compose]:
    """Everything that can run here, up and healthy."""
    project = Compose(engine)
    try:
        project.up([*SERVERS, *MONITORING])
        yield project
    finally:
        print(project("logs", "--no-color", "--tail", "20"))
        project.down()


@pytest_asyncio.fixture
async def gateway(compose: Compose) -> AsyncIterator[GatewayStub]:
    """The gateway at its published port, as a program on the same machine calls it."""
    async with grpc.aio.insecure_channel("127.0.0.1:50051") as channel:
        yield gateway_pb2_grpc.GatewayServiceStub(channel)
