"""Servers with TLS and channels to them: the ground the tests of TLS stand on."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from diptych.text.v1 import text_encoding_pb2, text_encoding_pb2_grpc
from gateway.client import Tls
from shared.rpc.channel import open_channel
from shared.rpc.peer import peer_identity
from shared.rpc.server import Server
from shared.settings import ServerSettings
from tests.certificates import Authority, Leaf
from tests.shared.rpc.serving import SERVICE, request, stub

BYTES = 1 << 20


class IdentityServicer(text_encoding_pb2_grpc.TextEncodingServiceServicer):
    """EncodeText answers who calls, as the name of the model, and notes the connections that calls came over."""

    def __init__(self) -> None:
        self.connections: set[str] = set()

    async def EncodeText(self, request: Any, context: Any) -> text_encoding_pb2.EncodeTextResponse:
        self.connections.add(context.peer())
        answer = text_encoding_pb2.EncodeTextResponse()
        answer.model.name = peer_identity(context)
        return answer

    async def GetModel(self, request: Any, context: Any) -> text_encoding_pb2.GetModelResponse:
        return text_encoding_pb2.GetModelResponse()


@asynccontextmanager
async def tls_server(servicer: IdentityServicer | None = None, **settings: Any) -> AsyncIterator[Server]:
    """A server on free ports of loopback, SERVING."""
    server = Server(ServerSettings(**settings), CollectorRegistry(), services=[SERVICE])
    text_encoding_pb2_grpc.add_TextEncodingServiceServicer_to_server(servicer or IdentityServicer(), server.grpc)
    async with server:
        await server.set_serving(True)
        yield server


def credentials(ca: Authority | None, own: Leaf | None = None) -> grpc.ChannelCredentials:
    """What a client trusts, and who it is."""
    certificate, key = (own.certificate, own.key) if own else (None, None)
    return Tls(ca=ca.path if ca else None, certificate=certificate, private_key=key).credentials()


def untried(ca: Authority, own: Leaf) -> grpc.ChannelCredentials:
    """The same, of a client that does not look at its own certificate first."""
    return grpc.ssl_channel_credentials(ca.path.read_bytes(), own.key.read_bytes(), own.certificate.read_bytes())


async def identity(port: int, with_credentials: grpc.ChannelCredentials | None, host: str = "127.0.0.1") -> str:
    """Who a server says that calls, over a new connection."""
    async with open_channel(f"{host}:{port}", max_message_bytes=BYTES, credentials=with_credentials) as channel:
        answer = await stub(channel).EncodeText(request("a"), timeout=20)
        return str(answer.model.name)


async def refusal(port: int, with_credentials: grpc.ChannelCredentials | None, host: str = "127.0.0.1") -> str:
    """The reason why a new connection comes to nothing."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await identity(port, with_credentials, host)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    return caught.value.details() or ""


async def scrape(url: str, ca: Path | None = None, own: Leaf | None = None) -> str:
    """What a metrics port answers, over HTTP/1.0."""
    scheme, _, rest = url.partition("://")
    host, _, port = rest.partition("/")[0].rpartition(":")
    context = None
    if scheme == "https":
        context = ssl.create_default_context(cafile=ca)
        if own is not None:
            context.load_cert_chain(own.certificate, own.key)
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
        try:
            writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
            return (await reader.read()).decode()
        finally:
            writer.close()


async def scrape_if_allowed(url: str, ca: Path | None = None, own: Leaf | None = None) -> str:
    """The same; nothing where the connection was refused, closed or cut."""
    try:
        return await scrape(url, ca, own)
    except (ssl.SSLError, ConnectionError):
        return ""
