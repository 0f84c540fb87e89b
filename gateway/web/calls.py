"""The gateway's RPCs over Connect and gRPC-Web: the same servicer and the same handling of calls, other bytes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from connectrpc.code import Code as ConnectCode
from connectrpc.codec import Codec
from connectrpc.compat import google_protobuf_codecs
from connectrpc.errors import ConnectError, ErrorDetail
from connectrpc.request import RequestContext
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from protobuf.wkt import Any as PackedDetail

from diptych.gateway.v1 import gateway_connect, gateway_pb2, gateway_pb2_grpc
from shared.codes import Code, Reason
from shared.errors import CallError, InvalidArgumentError
from shared.rpc import metadata
from shared.rpc.context import current_call
from shared.rpc.handling import CallHandling
from shared.rpc.request_weight import check_json_weight, check_weight
from shared.rpc.status import error_details

SERVICE = gateway_pb2.DESCRIPTOR.services_by_name["GatewayService"]
PATH = f"/{SERVICE.full_name}/"
"""What every call's path begins with."""

LARGE_BYTES = 1024 * 1024
"""Messages from this size on are parsed beside the event loop: JSON with a picture of 8 MiB held it for 90 ms."""

Context = RequestContext[Any, Any]


def connect_application(
    servicer: gateway_pb2_grpc.GatewayServiceServicer, handling: CallHandling, *, max_message_bytes: int
) -> gateway_connect.GatewayServiceASGIApplication:
    """The ASGI application of the service. No compression: coded pictures gain nothing by it, and bombs need it."""
    return gateway_connect.GatewayServiceASGIApplication(
        cast(gateway_connect.GatewayService, _HandledCalls(servicer, handling)),
        read_max_bytes=max_message_bytes,
        compressions=(),
        codecs=[_LateCodec(codec) for codec in google_protobuf_codecs()],
    )


class _LateCodec:
    """Leaves parsing to the call, so that bytes that are no message get a reason and a metric like any bad input."""

    def __init__(self, codec: Codec[Any, Any]) -> None:
        self._codec = codec

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

        return _Received(data=data, parse=parse)


@dataclass(frozen=True, kw_only=True)
class _Received:
    """A request before it is parsed."""

    data: bytes | bytearray
    parse: Callable[[bytes], Message]

    async def message(self) -> Message:
        try:
            if len(self.data) < LARGE_BYTES:
                return self.parse(bytes(self.data))
            return await asyncio.to_thread(self.parse, bytes(self.data))
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
            async with self._handling.handle(method, context.request_headers.allitems(), remaining):
                yield
        except CallError as error:
            raise _connect_error(error) from error
        finally:
            context.response_trailers[metadata.REQUEST_ID] = current_call().request_id


def _connect_error(error: CallError) -> ConnectError:
    """The error with the same code, words and google.rpc details."""
    code = ConnectCode.CANCELED if error.code is Code.CANCELLED else ConnectCode[error.code.name]
    return ConnectError(code, str(error), [_packed(detail) for detail in error_details(error)])


def _packed(detail: Message) -> ErrorDetail:
    url = f"type.googleapis.com/{detail.DESCRIPTOR.full_name}"
    return ErrorDetail(PackedDetail(type_url=url, value=detail.SerializeToString()))
