"""A receiver of traces, as a collector is one: OTLP over gRPC; it keeps what it gets, to be asked by tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2

WAIT_SECONDS = 30.0
ERROR = trace_pb2.Status.STATUS_CODE_ERROR


@dataclass(frozen=True, kw_only=True)
class Received:
    """A span, with what a test asks about."""

    service: str
    """`service.name` of who sent it."""
    name: str
    kind: str
    """`SERVER`, `CLIENT` or `INTERNAL`."""
    trace: str
    span: str
    parent: str
    """Empty if it has none."""
    begin: int
    end: int
    """Nanoseconds since 1970."""
    attributes: Mapping[str, Any]
    events: Mapping[str, Mapping[str, Any]]
    links: tuple[tuple[str, str], ...]
    """Trace and span each."""
    error: str | None
    """The status' words where it is ERROR."""


class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    """What a tracer sends to."""

    def __init__(self) -> None:
        self.port = 0
        self.raw: list[bytes] = []
        """All requests, as they came."""
        self.spans: list[Received] = []

    @property
    def endpoint(self) -> str:
        """For DIPTYCH_TRACES_ENDPOINT."""
        return f"127.0.0.1:{self.port}"

    def Export(self, request: trace_service_pb2.ExportTraceServiceRequest, context: object) -> Any:
        """Takes spans."""
        self.raw.append(request.SerializeToString())
        for of_resource in request.resource_spans:
            resource = _values(of_resource.resource.attributes)
            for scope in of_resource.scope_spans:
                self.spans.extend(_received(str(resource["service.name"]), span) for span in scope.spans)
        return trace_service_pb2.ExportTraceServiceResponse()

    def wait(self, enough: Callable[[list[Received]], object]) -> list[Received]:
        """All spans, once there are enough."""
        give_up = time.monotonic() + WAIT_SECONDS
        while not enough(spans := list(self.spans)):
            assert time.monotonic() < give_up, f"of what was waited for there is only {spans}"
            time.sleep(0.02)
        return spans

    def wait_for(self, trace: str, count: int) -> list[Received]:
        """The spans of a trace, once there are so many."""
        return [
            span
            for span in self.wait(lambda spans: sum(span.trace == trace for span in spans) >= count)
            if span.trace == trace
        ]


@contextmanager
def receiving(credentials: grpc.ServerCredentials | None = None) -> Iterator[Receiver]:
    """A receiver that listens, in plain text if it has no credentials."""
    receiver, server = Receiver(), grpc.server(ThreadPoolExecutor(2))
    add: Callable[..., None] = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    add(receiver, server)
    address = "127.0.0.1:0"
    receiver.port = (
        server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
    )
    server.start()
    try:
        yield receiver
    finally:
        server.stop(grace=None).wait()


def _received(service: str, span: trace_pb2.Span) -> Received:
    return Received(
        service=service,
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace=span.trace_id.hex(),
        span=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        begin=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes=_values(span.attributes),
        events={event.name: _values(event.attributes) for event in span.events},
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        error=span.status.message if span.status.code == ERROR else None,
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
