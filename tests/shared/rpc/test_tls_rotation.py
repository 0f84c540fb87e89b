"""Certificates that are replaced while a server works: new connections meet the new one, and no call fails."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shared.rpc import followed_certificates
from shared.rpc.channel import open_channel
from tests.certificates import Authority, Secret, shown_serial
from tests.shared.rpc.serving import request, stub
from tests.shared.rpc.steady import steady, until
from tests.shared.rpc.tls import BYTES, credentials, identity, refusal, scrape, scrape_if_allowed, tls_server


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed_certificates, "RELOAD_SECONDS", 0.02)


@pytest.fixture
def secret(tmp_path: Path, authority: Authority) -> Secret:
    return Secret(tmp_path / "secret", authority.leaf(), authority)


async def test_new_certificate_is_shown_on_both_ports_and_no_call_fails(secret: Secret, authority: Authority) -> None:
    own = authority.leaf("alice")
    async with (
        tls_server(**secret.mutual()) as server,
        open_channel(f"127.0.0.1:{server.port}", max_message_bytes=BYTES, credentials=credentials(authority)) as _,
        open_channel(
            f"127.0.0.1:{server.port}", max_message_bytes=BYTES, credentials=credentials(authority, own)
        ) as kept,
        steady(lambda: stub(kept).EncodeText(request("a"), timeout=20)) as over_one_connection,
        steady(lambda: identity(server.port, credentials(authority, own))) as over_new_connections,
        steady(lambda: scrape(f"https://localhost:{server.metrics_port}/metrics", authority.path, own), 1) as scrapes,
    ):
        for _ in range(5):
            new = authority.leaf()
            secret.replace(new, authority)
            for port in (server.port, server.metrics_port):

                async def shown(port: int = port, serial: int = new.serial) -> bool:
                    return await asyncio.to_thread(shown_serial, "127.0.0.1", port, own) == serial

                await until(shown)
        assert min(len(over_one_connection), len(over_new_connections), len(scrapes)) > 5


async def test_client_ca_that_is_replaced_lets_others_in_and_connections_that_stand_go_on(
    secret: Secret, authority: Authority, tmp_path: Path
) -> None:
    new_authority = Authority(tmp_path, "new")
    old = credentials(authority, authority.leaf("old"))
    new = credentials(authority, new_authority.leaf("newcomer"))
    async with (
        tls_server(**secret.mutual()) as server,
        open_channel(f"127.0.0.1:{server.port}", max_message_bytes=BYTES, credentials=old) as kept,
        steady(lambda: stub(kept).EncodeText(request("a"), timeout=20)),
    ):
        await refusal(server.port, new)
        secret.replace(authority.leaf(), new_authority)

        async def known() -> bool:
            try:
                return await identity(server.port, new) == "newcomer"
            except Exception:  # noqa: BLE001  # refused until then
                return False

        await until(known)
        await refusal(server.port, old)
        metrics = f"https://localhost:{server.metrics_port}/metrics"
        await scrape(metrics, authority.path, new_authority.leaf())
        assert not await scrape_if_allowed(metrics, authority.path, authority.leaf())


async def test_broken_certificate_keeps_the_old_one(
    secret: Secret, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    old = authority.leaf()
    secret.replace(old, authority)
    async with tls_server(**secret.server()) as server:
        expired = authority.leaf(expired=True)
        secret.replace(expired, authority)

        async def told() -> bool:
            return "certificate has expired; the one before stays in use" in caplog.text

        await until(told)
        assert await identity(server.port, credentials(authority)) == ""
        assert await asyncio.to_thread(shown_serial, "127.0.0.1", server.port) == old.serial
