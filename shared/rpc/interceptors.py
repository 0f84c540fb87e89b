"""What gRPC puts around each call: `CallHandling`, trailers, and errors as statuses; servicers just raise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any, NoReturn

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from shared.codes import Code, Reason
from shared.errors import CallCancelledError, CallError, InvalidArgumentError
from shared.rpc import metadata
from shared.rpc.access import OpenAccess
from shared.rpc.calls_in_flight import CallsInFlight
from shared.rpc.context import current_call
from shared.rpc.handling import CallHandling
from shared.rpc.peer import peer_identity
from shared.rpc.request_weight import check_weight
from shared.rpc.status import details_trailer, status_code

Metadata = tuple[tuple[str, str | bytes], ...]
Details = grpc.HandlerCallDetails
Handler = Any  # the stubs type a handler's behaviour for grpc's threaded servers only
Context = Any


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps each handler of ours; gRPC's own services (health, reflection) pass through unwrapped.

    Where not everybody may call, each handler takes a stream of requests for gRPC, of which it reads one: so who is not
    let in is told so before the message is taken from the connection, and cannot make us hold any. Elsewhere that
    would cost each call another turn through gRPC for nothing.
    """

    def __init__(self, handling: CallHandling, calls: CallsInFlight, trailing: Callable[[], Metadata]) -> None:
        self._handling = handling
        self._calls = calls
        self._trailing = trailing
        self._reads_late = not isinstance(handling.access, OpenAccess)
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self, continuation: Callable[[Details], Awaitable[Any]], handler_call_details: Details
    ) -> Handler:
        """The wrapped handler of a method, made once."""
        method = handler_call_details.method
        if (known := self._wrapped.get(method)) is not None:
            return known
        handler = await continuation(handler_call_details)
        if handler is None or method.startswith("/grpc."):
            return handler
        if handler.request_streaming:
            raise NotImplementedError(f"{method} takes a stream; CallInterceptor wraps single requests only")
        wrap = self._wrap_stream if handler.response_streaming else self._wrap_unary
        wrapped = wrap(method.removeprefix("/"), handler)
        self._wrapped[method] = wrapped
        return wrapped

    # The request is weighed and parsed in `_handled`, so that what cannot be read gets a code and a metric like any
    # bad input.

    def _wrap_unary(self, method: str, handler: Handler) -> Handler:
        parse = _parser(method, handler)

        async def call(given: bytes | object, context: Context) -> Any:
            async with self._handled(method, context):
                return await handler.unary_unary(parse(await _message(given, context)), context)

        made = grpc.stream_unary_rpc_method_handler if self._reads_late else grpc.unary_unary_rpc_method_handler
        return made(call, None, handler.response_serializer)

    def _wrap_stream(self, method: str, handler: Handler) -> Handler:
        parse = _parser(method, handler)

        async def call(given: bytes | object, context: Context) -> None:
            # No generator itself: gRPC leaves one that it stopped reading to the garbage collector.
            async with (
                self._handled(method, context),
                aclosing(handler.unary_stream(parse(await _message(given, context)), context)) as messages,
            ):
                async for message in messages:
                    await context.write(message)

        made = grpc.stream_stream_rpc_method_handler if self._reads_late else grpc.unary_stream_rpc_method_handler
        return made(call, None, handler.response_serializer)

    @asynccontextmanager
    async def _handled(self, method: str, context: Context) -> AsyncIterator[None]:
        """A call with its trailers; an error ends it with code and details, and no answer."""
        entries = tuple(context.invocation_metadata() or ())
        try:
            identity = partial(peer_identity, context)
            async with self._handling.handle(method, entries, context.time_remaining(), identity):
                self._calls.hold(context)
                yield
                context.set_trailing_metadata(self._trailers())
        except CallError as error:
            await self._abort(context, error)

    def _trailers(self) -> Metadata:
        return ((metadata.REQUEST_ID, current_call().request_id), *self._trailing())

    async def _abort(self, context: Context, error: CallError) -> NoReturn:
        """Ends a call with its status alone: a status after an empty answer, no client's retry policy would retry."""
        code, trailers = status_code(error.code), (*self._trailers(), *details_trailer(error))
        try:
            await context.abort(code, str(error), trailers)
        except grpc.aio.AbortError as aborted:
            context.add_done_callback(partial(_forget_frames, aborted))
            raise
        raise AssertionError("abort returned")


def _forget_frames(error: BaseException, _: object) -> None:
    """Frees what a call held that was aborted. gRPC keeps the error with the call, and its frames keep the call, and
    a request of 60 MiB, until the garbage collector finds them, which may be hundreds of calls later."""
    error.__traceback__ = error.__context__ = None


class WatchInterceptor(grpc.aio.ServerInterceptor):
    """Health.Watch streams: the model's identity goes ahead of each, and a drain ends them.

    By the identity a gateway learns whom it watches. Streams that a stopping server cuts off instead of ending
    would make gRPC tear the connection down with an error under the calls that share it.
    """

    METHOD = "/grpc.health.v1.Health/Watch"

    def __init__(self, identity: Metadata) -> None:
        self._identity = identity
        self._streams: set[asyncio.Task[Any]] = set()
        self._ending = False

    async def intercept_service(
        self, continuation: Callable[[Details], Awaitable[Any]], handler_call_details: Details
    ) -> Handler:
        """Health.Watch wrapped; all else as it is."""
        handler = await continuation(handler_call_details)
        if handler_call_details.method != self.METHOD or handler is None:
            return handler

        async def watch(requests: Any, context: Context) -> Any:
            await context.send_initial_metadata(self._identity)
            stream = asyncio.ensure_future(handler.stream_stream(requests, context))
            self._streams.add(stream)
            try:
                return await stream
            except asyncio.CancelledError:
                if self._ending:
                    await context.abort(status_code(Code.UNAVAILABLE), "this server is shutting down")
                stream.cancel()
                raise
            finally:
                self._streams.discard(stream)

        return grpc.stream_stream_rpc_method_handler(watch, handler.request_deserializer, handler.response_serializer)

    def end_streams(self) -> None:
        """Ends every stream with UNAVAILABLE."""
        self._ending = True
        for stream in self._streams:
            stream.cancel()


async def _message(given: bytes | object, context: Context) -> bytes:
    """The request of a call, as bytes: as gRPC gave it, or read now, where it gave what it takes for a stream."""
    message = given if isinstance(given, bytes) else await context.read()
    if not isinstance(message, bytes):  # also where it is larger than gRPC takes, which has told so itself
        raise CallCancelledError("the call ended before its request had come")
    return message


def _parser(method: str, handler: Handler) -> Callable[[bytes], Any]:
    kind = GetMessageClass(descriptor_pool.Default().FindMethodByName(method.replace("/", ".")).input_type)

    def parse(raw: bytes) -> Any:
        check_weight(raw, kind)
        try:
            return handler.request_deserializer(raw)
        except DecodeError as error:
            message = f"the request is not a message of this method: {error}"
            raise InvalidArgumentError(message, reason=Reason.MALFORMED_MESSAGE) from error

    return parse
