"""The Python client of a gateway: `Diptych` blocks, `AsyncDiptych` is awaited; the same calls, results and errors.

    from gateway.client import Diptych

    with Diptych("127.0.0.1:50051") as diptych:
        diptych.text_to_image("a black cat", seed=7)[0].save("cat.png")
        print(diptych.image_to_text("cat.png", language="zh")[0].text)

What the calls take is in `gateway/client/calls.py`, what they return in `gateway/client/results.py`, what they raise in
`shared/errors.py`. It needs no torch, numpy or Pillow.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import grpc

from diptych.gateway.v1 import gateway_pb2_grpc
from gateway.client import calls
from gateway.client.calls import Call
from gateway.client.retries import Attempts, ClientClosedError
from gateway.client.terms import DEFAULT_ADDRESS, RETRIES, checked_terms
from gateway.client.tls import Tls
from shared.errors import CallCancelledError, CallError
from shared.rpc.channel import open_blocking_channel, open_channel

MAX_MESSAGE_BYTES = 256 * 1024 * 1024
"""More than any gateway takes: its limit is to answer, not ours."""

P = ParamSpec("P")
Result = TypeVar("Result")


def _documented(method: Callable[..., Any], make: Callable[..., Any]) -> None:
    """Gives a method the name, the text and the arguments of the function that makes its call."""
    functools.update_wrapper(method, make)
    given = inspect.signature(make)
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = given.replace(  # type: ignore[attr-defined]  # read by help()
        parameters=[this, *given.parameters.values()], return_annotation=inspect.Signature.empty
    )


def _blocking(make: Callable[P, Call[Result]]) -> Callable[Concatenate[Diptych, P], Result]:
    def method(self: Diptych, /, *args: P.args, **kwargs: P.kwargs) -> Result:
        return self._answer(make(*args, **kwargs))

    _documented(method, make)
    return method


def _blocking_stream(make: Callable[P, Call[Result]]) -> Callable[Concatenate[Diptych, P], Iterator[Result]]:
    def method(self: Diptych, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[Result]:
        return self._answers(make(*args, **kwargs))

    _documented(method, make)
    return method


def _awaited(make: Callable[P, Call[Result]]) -> Callable[Concatenate[AsyncDiptych, P], Awaitable[Result]]:
    async def method(self: AsyncDiptych, /, *args: P.args, **kwargs: P.kwargs) -> Result:
        # In a thread, for it may read picture files.
        return await self._answer(await asyncio.to_thread(make, *args, **kwargs))

    _documented(method, make)
    return method


def _awaited_stream(make: Callable[P, Call[Result]]) -> Callable[Concatenate[AsyncDiptych, P], AsyncIterator[Result]]:
    def method(self: AsyncDiptych, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[Result]:
        return self._answers(make(*args, **kwargs))

    _documented(method, make)
    return method


class Diptych:
    """A gateway, called by blocking; safe to use from several threads. It connects with the first call.

    Args:
        address: `host:port` of the gateway.
        timeout: seconds of a whole call, retries included, up to a day; of a stream, until its last picture.
        retries: attempts after the first, where the gateway is not there or asks to come back later. A stream is
            tried again only before its first picture.
        key: who calls, for a gateway that wants one; sent as `authorization: Bearer <key>`.
        caller: who calls, for fair sharing; up to 128 characters. Who has a key goes by the key's name.
        tls: for a gateway with TLS; `Tls()` trusts public CAs. Without it the connection, a key's too, is plain text.

    Raises:
        ConfigurationError: an argument cannot be.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        timeout: float = 60.0,
        retries: int = RETRIES,
        key: str | None = None,
        caller: str = "",
        tls: Tls | None = None,
    ) -> None:
        self._terms = checked_terms(address, timeout, retries, key, caller)
        credentials = None if tls is None else tls.credentials()
        self._channel = open_blocking_channel(address, max_message_bytes=MAX_MESSAGE_BYTES, credentials=credentials)
        self._stub = gateway_pb2_grpc.GatewayServiceStub(self._channel)
        self._closed = False

    text_to_image = _blocking(calls.text_to_image)
    stream_text_to_image = _blocking_stream(calls.stream_text_to_image)
    image_to_text = _blocking(calls.image_to_text)
    classify_image = _blocking(calls.classify_image)
    encode_text = _blocking(calls.encode_text)
    encode_image = _blocking(calls.encode_image)
    capabilities = _blocking(calls.capabilities)

    def close(self) -> None:
        """Ends the connection, and calls under way, which raise ClientClosedError."""
        self._closed = True
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Diptych({self._terms.address!r})"

    def _answer(self, call: Call[Result]) -> Result:
        attempts = self._terms.attempts()
        while True:
            try:
                return call.read(self._begin(call, attempts))
            except grpc.RpcError as error:
                failure = self._error(error)
            time.sleep(attempts.pause_seconds(failure))

    def _answers(self, call: Call[Result]) -> Iterator[Result]:
        attempts = self._terms.attempts()
        while True:
            stream = self._begin(call, attempts)
            begun = False
            try:
                for message in stream:
                    begun = True
                    yield call.read(message)
                return
            except grpc.RpcError as error:
                failure = self._error(error)
            finally:
                stream.cancel()
            if begun:
                raise failure
            time.sleep(attempts.pause_seconds(failure))

    def _error(self, error: grpc.RpcError) -> CallError:
        failure = self._terms.error(error)
        if self._closed and isinstance(failure, CallCancelledError):
            raise ClientClosedError from None
        return failure

    def _begin(self, call: Call[Any], attempts: Attempts) -> Any:
        if self._closed:
            raise ClientClosedError
        method = getattr(self._stub, call.method)
        return method(call.request, timeout=attempts.remaining_seconds(), metadata=self._terms.metadata)


class AsyncDiptych:
    """A gateway, called with `await`, from one event loop; all else is as for `Diptych`."""

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        timeout: float = 60.0,
        retries: int = RETRIES,
        key: str | None = None,
        caller: str = "",
        tls: Tls | None = None,
    ) -> None:
        self._terms = checked_terms(address, timeout, retries, key, caller)
        self._credentials = None if tls is None else tls.credentials()
        self._channel: grpc.aio.Channel | None = None
        """Opened by the first call: it belongs to the event loop that runs then."""
        self._closed = False

    text_to_image = _awaited(calls.text_to_image)
    stream_text_to_image = _awaited_stream(calls.stream_text_to_image)
    image_to_text = _awaited(calls.image_to_text)
    classify_image = _awaited(calls.classify_image)
    encode_text = _awaited(calls.encode_text)
    encode_image = _awaited(calls.encode_image)
    capabilities = _awaited(calls.capabilities)

    async def close(self) -> None:
        """Ends the connection, and calls under way, which raise ClientClosedError."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncDiptych({self._terms.address!r})"

    async def _answer(self, call: Call[Result]) -> Result:
        attempts = self._terms.attempts()
        while True:
            try:
                return call.read(await self._begin(call, attempts))
            except grpc.aio.AioRpcError as error:
                failure = self._terms.error(error)
            except asyncio.CancelledError:
                self._check_open()
                raise
            await asyncio.sleep(attempts.pause_seconds(failure))

    async def _answers(self, call: Call[Result]) -> AsyncIterator[Result]:
        attempts = self._terms.attempts()
        while True:
            stream = self._begin(call, attempts)
            begun = False
            try:
                async for message in stream:
                    begun = True
                    yield call.read(message)
                return
            except grpc.aio.AioRpcError as error:
                failure = self._terms.error(error)
            except asyncio.CancelledError:
                self._check_open()
                raise
            finally:
                stream.cancel()
            if begun:
                raise failure
            await asyncio.sleep(attempts.pause_seconds(failure))

    def _check_open(self) -> None:
        """Of a call that was cancelled: raises ClientClosedError where `close` did it, and not the caller's task."""
        task = asyncio.current_task()
        if self._closed and not (task is not None and task.cancelling()):
            raise ClientClosedError from None

    def _begin(self, call: Call[Any], attempts: Attempts) -> Any:
        if self._closed:
            raise ClientClosedError
        if self._channel is None:
            self._channel = open_channel(
                self._terms.address, max_message_bytes=MAX_MESSAGE_BYTES, credentials=self._credentials
            )
        method = getattr(gateway_pb2_grpc.GatewayServiceStub(self._channel), call.method)
        return method(call.request, timeout=attempts.remaining_seconds(), metadata=self._terms.metadata)
