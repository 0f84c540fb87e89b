"""The playground over HTTPS: the gateway's certificate, also when it is replaced, and what connections may take."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from shared.rpc import followed_certificates
from tests.certificates import Authority, Leaf, Secret, shown_serial
from tests.gateway.test_tls import running
from tests.ports import free_port
from tests.shared.rpc.raw_http2 import CLIENT_HELLO, closed, raw
from tests.shared.rpc.steady import steady, until


@pytest.fixture
def gateway(authority: Authority, tmp_path: Path) -> Secret:
    return Secret(tmp_path / "gateway", authority.leaf("gateway"), authority)


@pytest_asyncio.fixture
async def port(gateway: Secret, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A playground that asks for certificates."""
    monkeypatch.setattr(followed_certificates, "RELOAD_SECONDS", 0.02)
    chosen = free_port()
    async with running(gateway, gateway, web_port=chosen, handshake_seconds=1.0):
        yield chosen


async def got(port: int, authority: Authority, own: Leaf | None, path: str = "/") -> bytes:
    """The beginning of an answer, over a new connection."""
    context = ssl.create_default_context(cafile=authority.path)
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
        try:  # who is refused reads an alert
            writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: close\r\n\r\n".encode())
            return await reader.read(15)
        except (ssl.SSLError, ConnectionError):
            return b""
        finally:
            writer.close()


async def test_page_is_served_to_who_has_a_certificate_and_to_nobody_else(port: int, authority: Authority) -> None:
    assert await got(port, authority, authority.leaf()) == b"HTTP/1.1 200 OK"
    foreign = Authority(authority.path.parent, "foreign").leaf()
    for own in (None, foreign):
        assert await got(port, authority, own) == b""


async def test_new_certificate_is_shown_and_no_request_fails(port: int, gateway: Secret, authority: Authority) -> None:
    own = authority.leaf()
    async with steady(lambda: got(port, authority, own), callers=2) as answers:
        for _ in range(3):
            new = authority.leaf()
            gateway.replace(new, authority)

            async def shown(serial: int = new.serial) -> bool:
                return await asyncio.to_thread(shown_serial, "127.0.0.1", port, own) == serial

            await until(shown)
    assert set(answers) == {b"HTTP/1.1 200 OK"}


@pytest.mark.parametrize("sent", [b"", CLIENT_HELLO], ids=["nothing", "half a handshake"])
async def test_handshake_that_never_ends_is_cut_off(port: int, sent: bytes) -> None:
    async with raw(port, sent) as reader:
        assert await closed(reader)


async def test_handshakes_at_once_are_bounded(gateway: Secret, authority: Authority) -> None:
    """Else strangers who say nothing would take every file descriptor that the gateway may have."""
    port = free_port()
    async with running(gateway, gateway, web_port=port, web_connections=3, handshake_seconds=60):
        async with AsyncExitStack() as slow:
            readers = [await slow.enter_async_context(raw(port, b"")) for _ in range(5)]
            assert all([await closed(reader) for reader in readers[3:]])
        async with asyncio.timeout(20):
            while await got(port, authority, authority.leaf()) != b"HTTP/1.1 200 OK":
                await asyncio.sleep(0.01)  # until it has seen that they left
