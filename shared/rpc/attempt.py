"""One attempt at a replica, from here to its end: counted, timed and, in a call that is traced, a span."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import grpc

from shared.codes import Code, Reason
from shared.metrics import DownstreamMetrics
from shared.rpc.call_spans import end_client_span, method_of, peer_attributes, rpc_attributes
from shared.rpc.context import current_call, enter_call
from shared.rpc.replica import Replica
from shared.rpc.status import from_rpc_error

if TYPE_CHECKING:  # it imports OpenTelemetry, which is there only where traces are wanted
    from shared.tracing import Span


class Attempt:
    """A context manager around the call; what is called inside of it is told the span's place in the trace.

    Args:
        metrics: of calls downstream.
        service: the service's name in them.
        replica: who is asked.
        request: the message.
        number: of the attempts at this call, from 1.
    """

    __slots__ = ("_begin", "_call", "_metrics", "_number", "_replica", "_request", "_service", "_span")

    def __init__(
        self, metrics: DownstreamMetrics, service: str, replica: Replica[Any], request: Any, number: int
    ) -> None:
        self._metrics = metrics
        self._service = service
        self._replica = replica
        self._request = request
        self._number = number
        self._span: Span | None = None

    def __enter__(self) -> Self:
        self._begin = time.perf_counter()
        self._call = call = current_call()
        if call.span is not None:
            replica, method = self._replica, method_of(self._request.DESCRIPTOR.full_name)
            attributes = {
                **rpc_attributes(method, "grpc"),
                **peer_attributes(replica.address, replica.model),
                "diptych.attempt": self._number,
            }
            self._span = call.span.child(method, "client", attributes=attributes)
            enter_call(replace(call, span=self._span, trace=self._span.trace))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        code = _code(error)
        self._metrics.requests.labels(self._service, "OK" if code is None else code.name).inc()
        self._metrics.seconds.labels(self._service).observe(time.perf_counter() - self._begin)
        if self._span is not None:
            enter_call(self._call)
            end_client_span(self._span, code, _reason(error))


def _code(error: BaseException | None) -> Code | None:
    if error is None:
        return None
    if isinstance(error, grpc.aio.AioRpcError):
        return Code[error.code().name]
    return Code.CANCELLED if isinstance(error, asyncio.CancelledError) else Code.UNKNOWN


def _reason(error: BaseException | None) -> Reason | None:
    return from_rpc_error(error).reason if isinstance(error, grpc.aio.AioRpcError) else None
