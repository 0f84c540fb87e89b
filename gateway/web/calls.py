"""The gateway's RPCs over Connect and gRPC-Web: the same servicer and the same handling of calls, other bytes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast

from connectrpc.codec import Codec
from connectrpc.compat import google_protobuf_codecs
from connectrpc.request import RequestContext
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from diptych.gateway.v1 import gateway_connect, gateway_pb2_grpc
from gateway.web.bodies import SERVICE
from gateway.web.connect_errors import connect_error
from gateway.web.identity import current_identity
from shared.codes import Reason
from shared.errors import CallError, InvalidArgumentError
from shared.rpc import metadata
from shared.rpc.context import current_call
from shared.rpc.handling import CallHandling
from shared.rpc.request_weight import check_json_weight, check_weight

BESIDE_BYTES = 32 * 1024
"""Messages from this size on are parsed beside the event loop, one at a time: many threads at it held it for 0.6 s."""
LARGE_BYTES = 1024 * 1024
"""From this size on in a thread of their own, so that others do not wait for them."""

Context = RequestContext[Any, Any]


def connect_application(
    servicer: gateway_pb2_grpc.GatewayServiceServicer, handling: CallHandling, *, max_message_bytes: int
) -> gateway_connect.GatewayServiceASGIApplication:
    """The ASGI application of the service. No compression: coded pictures gain nothing by it, and bombs need it."""
    threads = _Threads(ThreadPoolExecutor(1, "requests"), ThreadPoolExecutor(1, "large-requests"))
    return gateway_connect.GatewayServiceASGIApplication(
        cast(gateway_connect.GatewayService, _HandledCalls(servicer, handling)),
        read_max_bytes=max_message_bytes,
        compressions=(),
        codecs=[_LateCodec(codec, threads) for codec in google_protobuf_codecs()],
    )


class _Threads(NamedTuple):
    """Where requests are parsed beside the event loop."""

    usual: Executor
    large: Executor


class _LateCodec:
    """Leaves parsing to the call, so that bytes that are no message get a reason and a metric like any bad input."""

    def __init__(self, codec: Codec[Any, Any], threads: _Threads) -> None:
        self._codec = codec
        self._threads = threads

    def name(self) -> str:
        return self._codec.name()

    def encode(self, message: Message) -> bytes:
        return self._codec.encode(message)

    def decode(self, data: bytes | bytearray, message_class: type[Message]) -> _Received:
        def parse(data: bytes) -> Message:
            if self._codec.name() == "json":
                check_json_weight(data)
            else:
                check_weight(data, message_class)
            message: Message = self._codec.decode(data, message_class)
            return message

        return _Received(data=data, parse=parse, threads=self._threads)


@dataclass(kw_only=True)
class _Received:
    """A request before it is parsed."""

    data: bytes | bytearray
    parse: Callable[[bytes], Message]
    threads: _Threads

    async def message(self) -> Message:
        """The request, once: its bytes are then let go."""
        data, self.data = bytes(self.data), b""
        try:
            if len(data) < BESIDE_BYTES:
                return self.parse(data)
            thread = self.threads.usual if len(data) < LARGE_BYTES else self.threads.large
            return await asyncio.get_running_loop().run_in_executor(thread, self.parse, data)
        except (json_format.ParseError, DecodeError, ValueError) as error:
            message = f"the request is not a message of this method: {error}"
            raise InvalidArgumentError(message, reason=Reason.MALFORMED_MESSAGE) from error


class _HandledCalls:
    """Every RPC of the service under the name that connectrpc calls it by, `text_to_image` for `TextToImage`."""

    def __init__(self, servicer: gateway_pb2_grpc.GatewayServiceServicer, handling: CallHandling) -> None:
        self._handling = handling
        for method in SERVICE.methods:
            answer = self._answer_with_stream if method.server_streaming else self._answer
            bound = partial(answer, f"{SERVICE.full_name}/{method.name}", getattr(servicer, method.name))
            setattr(self, re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower(), bound)

    async def _answer(self, method: str, handler: Callable[..., Any], received: _Received, context: Context) -> Any:
        async with self._handled(method, context):
            return await handler(await received.message(), None)

    async def _answer_with_stream(
        self, method: str, handler: Callable[..., Any], received: _Received, context: Context
    ) -> AsyncIterator[Any]:
        async with (
            self._handled(method, context),
            aclosing(handler(await received.message(), None)) as messages,
        ):
            async for message in messages:
                yield message

    @asynccontextmanager
    async def _handled(self, method: str, context: Context) -> AsyncIterator[None]:
        remaining = None if context.timeout_ms is None else max(0.0, context.timeout_ms / 1000)
        try:
            entries = context.request_headers.allitems()
            async with self._handling.handle(method, entries, remaining, current_identity, system="connect_rpc"):
                yield
        except CallError as error:
            raise connect_error(error) from error
        finally:
            context.response_trailers[metadata.REQUEST_ID] = current_call().request_id
