"""A real server whose EncodeText is a function, and a channel to it: the ground the rpc tests stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from prometheus_client import CollectorRegistry

from diptych.text.v1 import text_encoding_pb2, text_encoding_pb2_grpc
from shared.rpc.channel import open_channel
from shared.rpc.server import Server
from shared.settings import ServerSettings

SERVICE = "diptych.text.v1.TextEncodingService"
METHOD = f"{SERVICE}/EncodeText"
Encode = Callable[[text_encoding_pb2.EncodeTextRequest], Awaitable[text_encoding_pb2.EncodeTextResponse]]


class FunctionServicer(text_encoding_pb2_grpc.TextEncodingServiceServicer):
    """EncodeText is `encode`."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode

    async def EncodeText(self, request: Any, context: Any) -> text_encoding_pb2.EncodeTextResponse:
        return await self._encode(request)

    async def GetModel(self, request: Any, context: Any) -> text_encoding_pb2.GetModelResponse:
        return text_encoding_pb2.GetModelResponse()


async def empty_answer(request: text_encoding_pb2.EncodeTextRequest) -> text_encoding_pb2.EncodeTextResponse:
    """The shortest servicer."""
    return text_encoding_pb2.EncodeTextResponse()


@asynccontextmanager
async def serving(
    encode: Encode = empty_answer, registry: CollectorRegistry | None = None, settings: Any = None, **extra: Any
) -> AsyncIterator[tuple[Server, grpc.aio.Channel]]:
    """A server on a free port of loopback, already SERVING, and a channel to it."""
    server = Server(settings or ServerSettings(), registry or CollectorRegistry(), services=[SERVICE], **extra)
    text_encoding_pb2_grpc.add_TextEncodingServiceServicer_to_server(FunctionServicer(encode), server.grpc)
    async with server:
        await server.set_serving(True)
        async with open_channel(f"127.0.0.1:{server.port}", max_message_bytes=1 << 20) as channel:
            yield server, channel


def stub(channel: grpc.aio.Channel) -> Any:
    """The typed way in."""
    return text_encoding_pb2_grpc.TextEncodingServiceStub(channel)


def request(*texts: str) -> text_encoding_pb2.EncodeTextRequest:
    """A request with these texts."""
    return text_encoding_pb2.EncodeTextRequest(texts=texts)
