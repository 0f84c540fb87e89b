"""A gateway at an address, for the command line: typed calls with a deadline; errors are the tree's, never gRPC's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import grpc

from diptych.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from shared.errors import UnavailableError
from shared.rpc.channel import open_channel
from shared.rpc.health import short_reason
from shared.rpc.status import from_rpc_error

if TYPE_CHECKING:  # a type-check-only class of the generated stubs
    Stub = gateway_pb2_grpc.GatewayServiceAsyncStub

MAX_MESSAGE_BYTES = 256 * 1024 * 1024
"""More than any gateway takes: its limit is to answer, not ours."""


class GatewayUnreachableError(UnavailableError):
    """Nothing answers at the address."""


class RemoteGateway:
    """Calls of one gateway; made by `connect`. Each raises CallError."""

    def __init__(self, stub: Stub, address: str, timeout_seconds: float) -> None:
        self._stub = stub
        self._address = address
        self._timeout_seconds = timeout_seconds

    async def text_to_image(
        self, prompt: str, *, seeds: Sequence[int] = (), image_count: int = 0
    ) -> gateway_pb2.TextToImageResponse:
        """Pictures of a prompt."""
        request = gateway_pb2.TextToImageRequest(prompt=prompt, seeds=seeds, image_count=image_count)
        with _translated_errors(self._address):
            return await self._stub.TextToImage(request, timeout=self._timeout_seconds)

    async def image_to_text(
        self, images: Sequence[bytes], *, language: str = "", top_k: int = 0
    ) -> gateway_pb2.ImageToTextResponse:
        """Captions and labels of picture files."""
        request = gateway_pb2.ImageToTextRequest(images=images, language=language, top_k=top_k)
        with _translated_errors(self._address):
            return await self._stub.ImageToText(request, timeout=self._timeout_seconds)


@asynccontextmanager
async def connect(address: str, *, timeout_seconds: float) -> AsyncIterator[RemoteGateway]:
    """A gateway to call; connects with the first call."""
    channel = open_channel(address, max_message_bytes=MAX_MESSAGE_BYTES)
    try:
        yield RemoteGateway(gateway_pb2_grpc.GatewayServiceStub(channel), address, timeout_seconds)
    finally:
        await channel.close()


@contextmanager
def _translated_errors(address: str) -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        translated = from_rpc_error(error)
        if isinstance(translated, UnavailableError) and str(translated).startswith("failed to connect"):
            raise GatewayUnreachableError(f"no gateway answers at {address} ({short_reason(error)})") from None
        raise translated from None
