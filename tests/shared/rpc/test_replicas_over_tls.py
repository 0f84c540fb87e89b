"""Replicas over TLS: whom a pool trusts, and that new certificates cost no call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from diptych.text.v1 import text_encoding_pb2_grpc
from shared.errors import UnavailableError
from shared.metrics import DownstreamMetrics
from shared.rpc import followed_certificates, replica_set
from shared.rpc.certificates import CertificateFiles
from shared.rpc.followed_certificates import FollowedCertificates
from shared.rpc.replica_pool import PoolOptions, ReplicaPool
from shared.settings import ServerSettings
from tests.certificates import Authority, Secret, shown_serial
from tests.gateway.behaviour import Behaviour
from tests.gateway.fake_services import FakeReplica
from tests.shared.rpc.pooling import PATIENT, all_serve, encode
from tests.shared.rpc.steady import steady, until

if TYPE_CHECKING:
    from tests.shared.rpc.pooling import TextPool


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed_certificates, "RELOAD_SECONDS", 0.02)


def secret_of(authority: Authority, folder: Path, *dns: str) -> Secret:
    return Secret(folder, authority.leaf(folder.name, dns=dns or ("localhost",)), authority)


@asynccontextmanager
async def pool_over_tls(target: str, secret: Secret, options: PoolOptions = PATIENT) -> AsyncIterator[TextPool]:
    files = CertificateFiles(serves=False, certificate=secret.certificate, key=secret.key, ca=secret.ca)
    metrics = DownstreamMetrics(CollectorRegistry())
    async with FollowedCertificates(files) as followed:
        stub = text_encoding_pb2_grpc.TextEncodingServiceStub
        async with ReplicaPool("text", [target], stub, metrics=metrics, options=options, certificates=followed) as pool:
            yield pool


def replica_over(secret: Secret) -> FakeReplica:
    return FakeReplica("text", Behaviour(), ServerSettings(**secret.mutual()))


async def test_replica_is_called_over_mutual_tls_by_address_and_by_name(authority: Authority, tmp_path: Path) -> None:
    gateway, service = secret_of(authority, tmp_path / "gateway"), secret_of(authority, tmp_path / "service")
    async with replica_over(service) as replica:
        async with pool_over_tls(replica.address, gateway) as pool:
            assert await encode(pool) == "1"
        port = replica.address.rpartition(":")[2]
        async with pool_over_tls(f"dns:///localhost:{port}", gateway) as pool:
            assert await encode(pool) == "1"


async def test_certificate_must_name_what_the_target_names(authority: Authority, tmp_path: Path) -> None:
    """Not the address behind it: those of pods are in no certificate."""
    gateway = secret_of(authority, tmp_path / "gateway")
    for name, served in (("localhost", True), ("text.example", False)):
        leaf = authority.leaf(dns=(name,), addresses=())
        async with replica_over(Secret(tmp_path / name, leaf, authority)) as replica:
            port = replica.address.rpartition(":")[2]
            impatient = PoolOptions(replica_wait_seconds=20 if served else 0.5)
            async with pool_over_tls(f"dns:///localhost:{port}", gateway, impatient) as pool:
                if served:
                    assert await encode(pool) == "1"
                else:
                    with pytest.raises(UnavailableError, match="no replica is serving"):
                        await encode(pool)


async def test_service_of_a_foreign_ca_gets_no_call(authority: Authority, tmp_path: Path) -> None:
    foreign = Authority(tmp_path, "foreign")
    gateway, service = secret_of(authority, tmp_path / "gateway"), secret_of(foreign, tmp_path / "service")
    async with replica_over(service) as replica:
        async with pool_over_tls(replica.address, gateway, PoolOptions(replica_wait_seconds=0.5)) as pool:
            with pytest.raises(UnavailableError, match="unable to get local issuer certificate"):
                await encode(pool)
    assert replica.calls == []


async def test_new_certificates_of_both_ends_under_load_fail_no_call(authority: Authority, tmp_path: Path) -> None:
    gateway, service = secret_of(authority, tmp_path / "gateway"), secret_of(authority, tmp_path / "service")
    async with replica_over(service) as replica, pool_over_tls(replica.address, gateway) as pool:
        port = int(replica.address.rpartition(":")[2])
        await all_serve(pool, 1)
        async with steady(lambda: encode(pool)) as answers:
            for _ in range(5):
                new = authority.leaf("service")
                service.replace(new, authority)

                async def shown(serial: int = new.serial) -> bool:
                    return await asyncio.to_thread(shown_serial, "127.0.0.1", port, authority.leaf()) == serial

                await until(shown)
                await renewed(pool, gateway, authority)
        assert len(answers) > 20
        assert set(answers) == {"1"}


async def renewed(pool: TextPool, gateway: Secret, *cas: Authority) -> None:
    """Gives the gateway another certificate, and waits until it calls with it."""
    [before] = pool.replicas()
    gateway.replace(cas[0].leaf("gateway"), *cas)

    async def another() -> bool:
        return pool.replicas() != [before] and pool.replicas()[0].serving

    await until(another)


async def test_new_ca_moves_from_service_to_gateway_without_a_failed_call(authority: Authority, tmp_path: Path) -> None:
    """Trust first, then certificates, then distrust; each end at its own time."""
    new = Authority(tmp_path, "new")
    gateway, service = secret_of(authority, tmp_path / "gateway"), secret_of(authority, tmp_path / "service")
    async with replica_over(service) as replica, pool_over_tls(replica.address, gateway) as pool:
        await all_serve(pool, 1)
        async with steady(lambda: encode(pool)) as answers:
            service.replace(authority.leaf(), authority, new)
            await renewed(pool, gateway, authority, new)
            await asyncio.sleep(0.1)
            gateway.replace(new.leaf("gateway"), authority, new)
            service.replace(new.leaf(), authority, new)
            await asyncio.sleep(0.2)
            await renewed(pool, gateway, new)
            service.replace(new.leaf(), new)
            await asyncio.sleep(0.2)
        assert set(answers) == {"1"}


async def test_certificate_that_the_service_does_not_take_yet_leaves_the_channel_that_works(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(replica_set, "TOLD_SECONDS", 0.1)
    early = Authority(tmp_path, "early")
    gateway, service = secret_of(authority, tmp_path / "gateway"), secret_of(authority, tmp_path / "service")
    async with replica_over(service) as replica, pool_over_tls(replica.address, gateway) as pool:
        await all_serve(pool, 1)
        async with steady(lambda: encode(pool)) as answers:
            [before] = pool.replicas()
            gateway.replace(early.leaf("gateway"), early)

            async def told() -> bool:
                return (
                    "does not serve under the new certificate (unable to get local issuer certificate)" in caplog.text
                )

            await until(told)
            assert pool.replicas() == [before] and before.serving
            service.replace(early.leaf(), early)

            async def moved() -> bool:
                return pool.replicas() != [before]

            await until(moved)
        assert set(answers) == {"1"}


async def test_calls_under_way_end_on_the_channel_that_they_began_on(authority: Authority, tmp_path: Path) -> None:
    gateway, service = secret_of(authority, tmp_path / "gateway"), secret_of(authority, tmp_path / "service")
    behaviour = Behaviour()
    behaviour.released.clear()
    async with (
        FakeReplica("text", behaviour, ServerSettings(**service.mutual())) as replica,
        pool_over_tls(replica.address, gateway) as pool,
    ):
        slow = asyncio.create_task(encode(pool))
        await behaviour.called.wait()
        await renewed(pool, gateway, authority)
        assert not slow.done()
        behaviour.released.set()
        assert await slow == "1"
