"""Spans to an OTLP receiver, by OpenTelemetry; imported only where `DIPTYCH_TRACES_ENDPOINT` is set.

It knows no service, no RPC and no batch. Whatever is told to a span leaves this machine: names, numbers and codes, and
never a prompt, a picture, a label, a key or an error's message, which may quote one.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Literal

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import Tracer as OtelTracer

from shared.trace_context import TraceContext

CLOSE_SECONDS = 2.0
"""The most that a stop waits for the last spans to be taken."""
SPAN_QUEUE = 8192
"""Spans that wait for the receiver; with more the oldest are dropped. About 2 KB each."""
SPANS_AN_EXPORT = 256
"""They are coded by a thread that takes turns with the event loop: fewer at once hold it up for less."""

Attributes = Mapping[str, str | int | float | bool]
Kind = Literal["server", "client", "internal"]

_KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}
_log = logging.getLogger(__name__)


class Span:
    """A span under way; times are of `time.monotonic`, and now where none is given."""

    __slots__ = ("_span", "_tracer", "trace")

    def __init__(self, tracer: OtelTracer, span: OtelSpan) -> None:
        self._tracer = tracer
        self._span = span
        self.trace = _trace_context(span.get_span_context())
        """Its place in the trace, for what is called under it."""

    @property
    def recording(self) -> bool:
        """Whether anybody will see it."""
        return self._span.is_recording()

    def child(
        self,
        name: str,
        kind: Kind = "internal",
        *,
        attributes: Attributes | None = None,
        begin: float | None = None,
        links: Sequence[TraceContext] = (),
    ) -> Span:
        """A span below this one; `links` are places in other traces that have to do with it."""
        span = self._tracer.start_span(
            name,
            context=set_span_in_context(self._span),
            kind=_KINDS[kind],
            attributes=attributes,
            links=[Link(_span_context(each)) for each in links],
            start_time=None if begin is None else _wall_nanoseconds(begin),
        )
        return Span(self._tracer, span)

    def event(self, name: str, attributes: Attributes) -> None:
        """Something that happened now."""
        self._span.add_event(name, attributes)

    def set(self, attributes: Attributes) -> None:
        """Tells more of it."""
        self._span.set_attributes(attributes)

    def end(self, *, error: str | None = None, at: float | None = None) -> None:
        """Ends it, with a word for what went wrong if something did."""
        if error is not None:
            self._span.set_status(Status(StatusCode.ERROR, error))
        self._span.end(None if at is None else _wall_nanoseconds(at))


class Tracer:
    """Makes the first span of each call, and sends all spans on their way beside the event loop.

    Of a call whose caller traces, the caller has decided whether it is recorded; of others a share is.

    Args:
        endpoint: `host:port` or `http://host:port` in plain text, `https://host:port` with TLS.
        sample_ratio: that share, 0 to 1.
        resource: what the spans of this process have in common, besides what `OTEL_RESOURCE_ATTRIBUTES` says.
    """

    def __init__(self, endpoint: str, *, sample_ratio: float, resource: Attributes) -> None:
        self._endpoint = endpoint
        # It would quote what strangers send for a `tracestate`, a line for each call.
        logging.getLogger("opentelemetry.trace.span").setLevel(logging.ERROR)
        exporter = OTLPSpanExporter(
            endpoint=endpoint,
            insecure=not endpoint.startswith("https://"),
            # Proxies of the environment are for the web, not for neighbours.
            channel_options=(("grpc.enable_http_proxy", 0),),  # type: ignore[arg-type]  # gRPC wants a number
        )
        self._provider = TracerProvider(
            sampler=ParentBasedTraceIdRatio(sample_ratio),
            resource=Resource.create(dict(resource)),
            shutdown_on_exit=False,  # `close` does it, and waits no longer than it may
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, max_queue_size=SPAN_QUEUE, max_export_batch_size=SPANS_AN_EXPORT)
        )
        self._tracer = self._provider.get_tracer("diptych")

    def start(self, name: str, kind: Kind, *, parent: TraceContext | None, attributes: Attributes) -> Span:
        """The first span of a call here."""
        context = None
        if parent is not None:
            context = set_span_in_context(NonRecordingSpan(_span_context(parent)))
        return Span(
            self._tracer, self._tracer.start_span(name, context=context, kind=_KINDS[kind], attributes=attributes)
        )

    async def close(self) -> None:
        """Sends what is left, for as long as a stop may wait for it."""
        # A thread of nobody's: that of an executor would hold up the end of the process, with a receiver that hangs.
        closing = threading.Thread(target=self._provider.shutdown, name="close-traces", daemon=True)
        closing.start()
        give_up = time.monotonic() + CLOSE_SECONDS
        while closing.is_alive():
            if time.monotonic() > give_up:
                _log.warning("traces: %s took the last spans not within %g s", self._endpoint, CLOSE_SECONDS)
                return
            await asyncio.sleep(0.01)


def _trace_context(context: SpanContext) -> TraceContext:
    return TraceContext(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        flags=f"{context.trace_flags:02x}",
        state=context.trace_state.to_header(),
    )


def _span_context(trace: TraceContext) -> SpanContext:
    return SpanContext(
        trace_id=int(trace.trace_id, 16),
        span_id=int(trace.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(trace.flags, 16)),
        trace_state=TraceState.from_header([trace.state]) if trace.state else None,
    )


def _wall_nanoseconds(at: float) -> int:
    return time.time_ns() - round((time.monotonic() - at) * 1e9)
