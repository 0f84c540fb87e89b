"""What every call meets on its way to a servicer: context, metrics, error mapping, drain; servicers just raise."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from shared.codes import Code, Reason
from shared.errors import (
    CallCancelledError,
    CallError,
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    UnavailableError,
)
from shared.metrics import RpcMetrics
from shared.rpc import metadata
from shared.rpc.context import CallContext, current_call, enter_call, read_call, remaining_seconds, requested_id
from shared.rpc.status import details_trailer, status_code

Metadata = tuple[tuple[str, str | bytes], ...]
Details = grpc.HandlerCallDetails
Handler = Any  # the stubs type a handler's behaviour for grpc's threaded servers only
Context = Any

_QUIET_SECONDS = 0.1
_MOST_QUIET_WAIT_SECONDS = 2.0

_log = logging.getLogger(__name__)


class CallsInFlight:
    """Counts calls until their answer has left, and says when there are none: what a drain waits for."""

    def __init__(self) -> None:
        self.refusing = False
        """Set while draining: new calls end with UNAVAILABLE."""
        self._last_arrival = -math.inf
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    def __len__(self) -> int:
        return self._count

    def enter(self, context: Context) -> None:
        """Counts a call until gRPC has sent its status."""
        self._last_arrival = time.monotonic()
        if self.refusing:
            raise UnavailableError("this server is shutting down", reason=Reason.NOT_SERVING)
        self._count += 1
        self._none.clear()
        context.add_done_callback(self._leave)

    def _leave(self, _: object) -> None:
        self._count -= 1
        if self._count == 0:
            self._none.set()

    async def wait_none(self) -> None:
        """Returns once no call is under way."""
        await self._none.wait()

    async def wait_quiet(self) -> None:
        """Returns once no call arrives for a moment, or when they do not cease.

        A call that has reached gRPC but not us yet is reset when the server stops, and its caller reads CANCELLED
        where UNAVAILABLE would have sent it to another replica.
        """
        begin = time.monotonic()
        while (now := time.monotonic()) - begin < _MOST_QUIET_WAIT_SECONDS:
            if now - max(begin, self._last_arrival) >= _QUIET_SECONDS:
                return
            await asyncio.sleep(_QUIET_SECONDS / 5)


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps each handler of ours; gRPC's own services (health, reflection) pass through unwrapped."""

    def __init__(self, calls: CallsInFlight, metrics: RpcMetrics, trailing: Callable[[], Metadata]) -> None:
        self._calls = calls
        self._metrics = metrics
        self._trailing = trailing
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
        if handler.request_streaming or handler.response_streaming:
            raise NotImplementedError(f"{method} streams; CallInterceptor wraps unary calls only")
        wrapped = self._wrap(method.removeprefix("/"), handler)
        self._wrapped[method] = wrapped
        return wrapped

    def _wrap(self, method: str, handler: Handler) -> Handler:
        in_flight = self._metrics.in_flight.labels(method)
        seconds = self._metrics.seconds.labels(method)

        async def call(raw: bytes, context: Context) -> Any:
            begin = time.perf_counter()
            code = "OK"
            in_flight.inc()
            try:
                entries = tuple(context.invocation_metadata() or ())
                enter_call(CallContext(request_id=requested_id(entries)))  # so that refusals carry it too
                self._calls.enter(context)
                enter_call(read_call(entries, context.time_remaining()))
                response = await handler.unary_unary(_parse(handler, raw), context)
                context.set_trailing_metadata(self._trailers())
                return response
            except asyncio.CancelledError:
                code = _reason_of_cancel().name
                raise
            except Exception as error:  # noqa: BLE001 - the last place that can give it a code
                call_error = _as_call_error(error, method)
                code = call_error.code.name
                await self._abort(context, call_error)
            finally:
                in_flight.dec()
                seconds.observe(time.perf_counter() - begin)
                self._metrics.requests.labels(method, code).inc()

        # The request is parsed in `call`, so that bytes that are no message get a code and a metric like any bad input.
        return grpc.unary_unary_rpc_method_handler(call, None, handler.response_serializer)

    def _trailers(self) -> Metadata:
        return ((metadata.REQUEST_ID, current_call().request_id), *self._trailing())

    async def _abort(self, context: Context, error: CallError) -> NoReturn:
        await context.abort(status_code(error.code), str(error), (*self._trailers(), *details_trailer(error)))
        raise AssertionError("abort returned")


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

        async def watch(request: Any, context: Context) -> Any:
            await context.send_initial_metadata(self._identity)
            stream = asyncio.ensure_future(handler.unary_stream(request, context))
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

        return grpc.unary_stream_rpc_method_handler(watch, handler.request_deserializer, handler.response_serializer)

    def end_streams(self) -> None:
        """Ends every stream with UNAVAILABLE."""
        self._ending = True
        for stream in self._streams:
            stream.cancel()


def _parse(handler: Handler, raw: bytes) -> Any:
    try:
        return handler.request_deserializer(raw)
    except DecodeError as error:
        message = f"the request is not a message of this method: {error}"
        raise InvalidArgumentError(message, reason=Reason.MALFORMED_MESSAGE) from error


def _reason_of_cancel() -> Code:
    """gRPC cancels a handler when the caller leaves and when the caller's deadline passes."""
    return DeadlineExceededError.code if remaining_seconds() == 0.0 else CallCancelledError.code


def _as_call_error(error: Exception, method: str) -> CallError:
    if isinstance(error, CallError):
        if error.code is Code.INTERNAL:
            _log.error("%s: %s", method, error)
        return error
    _log.error("%s failed", method, exc_info=error)
    message = "internal error; the server's log has the details under this call's x-request-id"
    return InternalError(message, reason=Reason.DEFECT)
