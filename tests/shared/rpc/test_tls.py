"""TLS and mTLS of a server's ports: who gets in, who does not, and what stays in plain text."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from shared.errors import ConfigurationError
from shared.rpc.channel import open_channel
from shared.rpc.server import Server
from shared.settings import ServerSettings
from tests.certificates import Authority, Secret
from tests.shared.rpc.serving import METHOD, SERVICE
from tests.shared.rpc.tls import (
    BYTES,
    credentials,
    identity,
    refusal,
    scrape,
    scrape_if_allowed,
    tls_server,
    untried,
)

SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.fixture
def foreign(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "foreign")


@pytest.fixture
def secret(tmp_path: Path, authority: Authority) -> Secret:
    return Secret(tmp_path / "secret", authority.leaf(), authority)


async def test_tls_without_client_ca_asks_nobody_who_he_is(secret: Secret, authority: Authority) -> None:
    async with tls_server(**secret.server()) as server:
        assert await identity(server.port, credentials(authority)) == ""
        assert await identity(server.port, credentials(authority, authority.leaf("shown in vain"))) == ""


async def test_plain_text_is_refused(secret: Secret) -> None:
    async with tls_server(**secret.server()) as server:
        await refusal(server.port, None)


async def test_server_of_a_foreign_ca_is_not_trusted(secret: Secret, foreign: Authority) -> None:
    async with tls_server(**secret.server()) as server:
        assert "CERTIFICATE_VERIFY_FAILED" in await refusal(server.port, credentials(foreign))
        assert "CERTIFICATE_VERIFY_FAILED" in await refusal(server.port, credentials(None))


async def test_server_of_another_name_is_not_trusted(tmp_path: Path, authority: Authority) -> None:
    leaf = authority.leaf(dns=("elsewhere.example",), addresses=())
    async with tls_server(**Secret(tmp_path / "secret", leaf, authority).server()) as server:
        told = await refusal(server.port, credentials(authority), host="localhost")
        assert "localhost is not in peer certificate" in told or "ostname" in told, told


async def test_mutual_tls_takes_a_certificate_of_its_ca_and_knows_its_name(
    secret: Secret, authority: Authority
) -> None:
    async with tls_server(**secret.mutual()) as server:
        assert await identity(server.port, credentials(authority, authority.leaf("alice"))) == "alice"
        nameless = authority.leaf("", dns=("bob.example",), addresses=())
        assert await identity(server.port, credentials(authority, nameless)) == "bob.example"


async def test_mutual_tls_refuses_no_certificate_a_foreign_one_and_an_expired_one(
    secret: Secret, authority: Authority, foreign: Authority
) -> None:
    async with tls_server(**secret.mutual()) as server:
        await refusal(server.port, None)
        await refusal(server.port, credentials(authority))
        await refusal(server.port, credentials(authority, foreign.leaf("alice")))
        await refusal(server.port, untried(authority, authority.leaf("alice", expired=True)))
        await refusal(server.port, untried(authority, authority.leaf("alice", purposes=("server",))))
        assert await identity(server.port, credentials(authority, authority.leaf("alice"))) == "alice"


async def test_health_can_be_watched_over_tls(secret: Secret, authority: Authority) -> None:
    own = credentials(authority, authority.leaf())
    async with tls_server(**secret.mutual()) as server:
        async with open_channel(f"127.0.0.1:{server.port}", max_message_bytes=BYTES, credentials=own) as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            watch = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=20)
            assert (await watch.read()).status == SERVING
            await server.set_serving(False)
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_metrics_are_shown_over_tls_and_to_nobody_without_a_certificate(
    secret: Secret, authority: Authority, foreign: Authority
) -> None:
    async with tls_server(**secret.mutual()) as server:
        await identity(server.port, credentials(authority, authority.leaf()))
        url = f"https://localhost:{server.metrics_port}/metrics"
        told = await scrape(url, authority.path, authority.leaf())
        assert f'diptych_rpc_requests_total{{code="OK",method="{METHOD}"}} 1.0' in told
        [expiry] = re.findall(r"^diptych_tls_certificate_expiry_timestamp_seconds (\S+)$", told, re.MULTILINE)
        assert time.time() < float(expiry) < time.time() + 86_400 + 60
        assert not await scrape_if_allowed(url, authority.path)
        assert not await scrape_if_allowed(url, authority.path, foreign.leaf())
        assert not await scrape_if_allowed(url.replace("https", "http"))


async def test_probes_are_answered_in_plain_text_while_the_rest_is_tls(secret: Secret) -> None:
    async with tls_server(**secret.mutual(), health_port=0) as server:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.health_port}") as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            for name in ("", SERVICE, "live"):
                answer = await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=20)
                assert answer.status == SERVING


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")
@pytest.mark.parametrize("port", ["port", "metrics_port"])
async def test_tls_1_1_is_not_spoken(secret: Secret, port: str) -> None:
    async with tls_server(**secret.server()) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", getattr(server, port), ssl=context)


def test_server_that_cannot_use_its_certificate_says_which_setting_is_wrong(secret: Secret, tmp_path: Path) -> None:
    def start(**settings: Any) -> None:
        Server(ServerSettings(**settings), CollectorRegistry(), services=[])

    nowhere = tmp_path / "nowhere.pem"
    with pytest.raises(ConfigurationError, match=f"^DIPTYCH_TLS_KEY: {nowhere}: no such file or directory$"):
        start(tls_certificate=secret.certificate, tls_key=nowhere)
    with pytest.raises(ConfigurationError, match=r"^DIPTYCH_TLS_CERTIFICATE is set, and DIPTYCH_TLS_KEY is not"):
        start(tls_certificate=secret.certificate)
    with pytest.raises(ConfigurationError, match=r"^DIPTYCH_TLS_CLIENT_CA is set, and DIPTYCH_TLS_CERTIFICATE is not"):
        start(tls_client_ca=secret.ca)
