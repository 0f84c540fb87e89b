"""A certificate instead of a key, over real mTLS: with gRPC and with the playground's port."""

from __future__ import annotations

import asyncio
import http.client
import importlib.util
import ssl
from pathlib import Path

import pytest

from gateway.access.keys import Key
from gateway.client import AsyncDiptych, Tls
from shared.codes import Reason
from shared.errors import CallError
from tests.certificates import Authority, Leaf, Secret
from tests.gateway.access.given_keys import key_of, write_keys
from tests.gateway.test_tls import running
from tests.ports import free_port

HAS_PLAYGROUND = all(importlib.util.find_spec(name) for name in ("connectrpc", "uvicorn"))
ALICE = Key(name="alice", identity="alice.internal", scopes=["encode"])


class Ground:
    """A gateway's certificate and its file of keys, which names Alice's."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.gateway = Secret(folder / "gateway", self.authority.leaf("gateway"), self.authority)
        self.file = folder / "keys.toml"
        self.secret, self.key = key_of("bob")
        write_keys(self.file, ALICE, self.key)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """Nothing runs yet."""
    return Ground(tmp_path)


async def reason(ground: Ground, port: int, own: Leaf, key: str | None = None) -> Reason | None:
    """Why a caller with this certificate cannot encode a text; None if it can."""
    tls = Tls(ca=ground.authority.path, certificate=own.certificate, private_key=own.key)
    async with AsyncDiptych(f"localhost:{port}", tls=tls, key=key, retries=0) as diptych:
        try:
            await diptych.encode_text("a cat")
        except CallError as error:
            return error.reason
        return None


async def test_named_certificate_is_let_in_as_who_it_is_named_for(ground: Ground) -> None:
    async with running(ground.gateway, ground.gateway, keys_file=ground.file) as server:
        alice, stranger = ground.authority.leaf("alice.internal"), ground.authority.leaf("stranger.internal")
        assert await reason(ground, server.port, alice) is None
        assert await reason(ground, server.port, stranger) is Reason.KEY_MISSING
        assert await reason(ground, server.port, stranger, ground.secret) is None
        assert await reason(ground, server.port, alice, "wrong") is Reason.KEY_UNKNOWN
        write_keys(ground.file, Key(name="alice", identity="alice.internal", scopes=["generate"]))
        async with asyncio.timeout(20):
            while await reason(ground, server.port, alice) is not Reason.SCOPE_MISSING:
                await asyncio.sleep(0.1)


def over_http(port: int, authority: Authority, own: Leaf) -> int:
    """The status of a call at the playground's port."""
    context = ssl.create_default_context(cafile=authority.path)
    context.load_cert_chain(own.certificate, own.key)
    connection = http.client.HTTPSConnection("localhost", port, timeout=20, context=context)
    try:
        headers = {"content-type": "application/json"}
        connection.request("POST", "/diptych.gateway.v1.GatewayService/GetCapabilities", body=b"{}", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.skipif(not HAS_PLAYGROUND, reason="the base package has no playground")
async def test_named_certificate_is_let_in_over_http_too(ground: Ground) -> None:

    port = free_port()
    async with running(ground.gateway, ground.gateway, keys_file=ground.file, web_port=port):
        for name, status in (("alice.internal", 200), ("stranger.internal", 401), ("alice.internal", 200)):
            own = ground.authority.leaf(name)
            assert await asyncio.to_thread(over_http, port, ground.authority, own) == status
