"""A gateway over mTLS on both sides: callers, services, playground; new certificates for all under load."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.__main__ import gateway_server
from gateway.client import AsyncDiptych, Tls
from gateway.settings import SERVICES
from shared.errors import ConfigurationError, UnavailableError
from shared.rpc import followed_certificates
from shared.rpc.server import Server
from shared.settings import ServerSettings
from tests.certificates import Authority, Secret, shown_serial
from tests.gateway.behaviour import Behaviour
from tests.gateway.fake_platform import PATIENT
from tests.gateway.fake_services import FakeReplica
from tests.shared.rpc.steady import steady, until


@pytest.fixture
def gateway(authority: Authority, tmp_path: Path) -> Secret:
    return Secret(tmp_path / "gateway", authority.leaf("gateway"), authority)


@pytest.fixture
def services(authority: Authority, tmp_path: Path) -> Secret:
    return Secret(tmp_path / "services", authority.leaf("services"), authority)


@asynccontextmanager
async def running(gateway: Secret, services: Secret, **settings: Any) -> AsyncIterator[Server]:
    """A gateway over fakes, everything with mTLS."""
    async with AsyncExitStack() as stack:
        targets = {}
        for service in SERVICES:
            fake = FakeReplica(service, Behaviour(), ServerSettings(**services.mutual()))
            targets[f"{service}_targets"] = (await stack.enter_async_context(fake)).address
        with_tls = {"port": 0, "services_ca": gateway.ca, **gateway.mutual(), **targets, **settings}
        registry = CollectorRegistry()
        yield await stack.enter_async_context(gateway_server(PATIENT.model_copy(update=with_tls), registry))


def caller(server: Server, authority: Authority, **options: Any) -> AsyncDiptych:
    leaf = authority.leaf("alice")
    tls = Tls(ca=authority.path, certificate=leaf.certificate, private_key=leaf.key)
    return AsyncDiptych(f"localhost:{server.port}", tls=tls, **options)


async def test_flow_runs_over_mutual_tls_from_caller_to_services(
    gateway: Secret, services: Secret, authority: Authority
) -> None:
    async with running(gateway, services) as server, caller(server, authority) as diptych:
        [picture] = await diptych.text_to_image("a cat", seed=7)
        assert picture.seed == 7
        assert (await diptych.image_to_text(picture, language="zh"))[0].text.startswith("zh")


async def test_services_do_not_answer_a_gateway_without_a_certificate(
    gateway: Secret, services: Secret, authority: Authority
) -> None:
    nobody = {"tls_certificate": None, "tls_key": None, "tls_client_ca": None, "replica_wait_seconds": 0.5}
    async with running(gateway, services, **nobody) as server:
        async with AsyncDiptych(f"127.0.0.1:{server.port}", retries=0) as diptych:
            with pytest.raises(UnavailableError, match="no replica is serving"):
                await diptych.encode_text("a cat")


async def test_all_certificates_change_under_load_and_no_call_fails(
    gateway: Secret, services: Secret, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed_certificates, "RELOAD_SECONDS", 0.02)
    async with running(gateway, services) as server, caller(server, authority, retries=0) as kept:

        async def over_a_new_connection() -> None:
            async with caller(server, authority, retries=0) as diptych:
                await diptych.encode_text("a cat")

        async with (
            steady(lambda: kept.text_to_image("a cat")) as over_one_connection,
            steady(over_a_new_connection, callers=1) as over_new_connections,
        ):
            for _ in range(4):
                new = authority.leaf("gateway")
                services.replace(authority.leaf("services"), authority)
                gateway.replace(new, authority)

                async def shown(serial: int = new.serial) -> bool:
                    return await asyncio.to_thread(shown_serial, "127.0.0.1", server.port, authority.leaf()) == serial

                await until(shown)
                await asyncio.sleep(0.2)
        assert min(len(over_one_connection), len(over_new_connections)) > 5


async def test_gateway_that_cannot_use_a_file_does_not_start(gateway: Secret, services: Secret, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere.pem"
    with pytest.raises(ConfigurationError, match=f"^DIPTYCH_SERVICES_CA: {nowhere}: no such file or directory$"):
        async with running(gateway, services, services_ca=nowhere):
            pass
