"""What every call meets, whatever it came over; knows no servicer, and of gRPC only the names of its codes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from shared.call_log import CallLog, log_call
from shared.codes import FAULTS, Code, Reason
from shared.errors import CallError, InternalError
from shared.metrics import RpcMetrics
from shared.rpc.access import Access, Identity, OpenAccess, no_identity
from shared.rpc.call_spans import end_server_span, start_server_span
from shared.rpc.calls_in_flight import CallsInFlight
from shared.rpc.context import (
    CallContext,
    CallFacts,
    arriving_call,
    current_call,
    enter_call,
    our_values,
    read_call,
    remaining_seconds,
)

if TYPE_CHECKING:  # it imports OpenTelemetry, which is there only where traces are wanted
    from shared.tracing import Tracer

_LOGGED = {
    "all": frozenset({"OK", *(code.name for code in Code)}),
    "faults": frozenset(code.name for code in FAULTS),
    "none": frozenset[str](),
}
"""Names of codes: those of members are hashed once, the members themselves anew each time."""
_WATCHED = FAULTS | {Code.RESOURCE_EXHAUSTED}
"""Codes that somebody is told of when they grow many."""
_log = logging.getLogger(__name__)


class CallHandling:
    """What every call meets, whatever it came over: context, counts, metrics, and for every exception an error of ours.

    Args:
        calls: what a drain waits for.
        metrics: RPCs by method and code.
        access: who may call; anybody, if it is None.
        tracer: records calls; None records none.
        call_log: which calls leave a line in the log.
    """

    def __init__(
        self,
        calls: CallsInFlight,
        metrics: RpcMetrics,
        access: Access | None = None,
        *,
        tracer: Tracer | None = None,
        call_log: CallLog = "none",
    ) -> None:
        self.access: Access = access or OpenAccess()
        """For another front that looks ahead, to refuse a call before it takes its body."""
        self._calls = calls
        self._tracer = tracer
        self._logged = _LOGGED[call_log]
        self._wants_facts = tracer is not None or call_log != "none"
        # prometheus-client looks a child up in microseconds, of which a refused call has few.
        self._of_method = cache(lambda method: (metrics.in_flight.labels(method), metrics.seconds.labels(method)))
        self._requests = cache(metrics.requests.labels)
        self._failures = cache(metrics.failures.labels)

    def expect(self, methods: Iterable[str]) -> None:
        """Counts calls of these from the beginning, as 0: a rate never sees the failures that a counter begins with."""
        for method in methods:
            self._of_method(method)
            self._requests(method, "OK")
            for reason in Reason:
                if reason.code in _WATCHED:
                    self._failures(method, reason.code.name, reason.name)

    @asynccontextmanager
    async def handle(
        self,
        method: str,
        entries: Iterable[tuple[str, str | bytes]],
        time_remaining: float | None,
        identity: Identity = no_identity,
        *,
        system: str = "grpc",
    ) -> AsyncIterator[None]:
        """One call. Its context stays the task's current one afterwards, so that the answer can carry its id.

        Args:
            method: `package.Service/Method`; of a fixed set, since it labels metrics.
            entries: the call's metadata, keys in lower case.
            time_remaining: seconds until its deadline, None without one.
            identity: by whose certificate it came.
            system: what it came over, as traces have it: `grpc` or `connect_rpc`.

        Raises:
            CallError: whatever else an exception was inside; a cancellation passes as it is.
        """
        begin = time.perf_counter()
        code: Code | None = None
        reason: Reason | None = None
        in_flight, seconds = self._of_method(method)
        in_flight.inc()
        try:
            entries = tuple(entries)
            values = our_values(entries)
            arrived = self._arrived(values, method, system)
            enter_call(arrived)  # so that refusals carry its ids, too
            self._calls.enter()
            try:
                call = read_call(arrived, values, time_remaining)
                with self.access.admit(call, method, entries, identity) as admitted:
                    enter_call(admitted)
                    yield
            finally:
                self._calls.leave()
        except (asyncio.CancelledError, GeneratorExit):
            code, reason = _end_of_cancelled()
            raise
        except Exception as error:
            call_error = _as_call_error(error, method)
            code, reason = call_error.code, call_error.reason
            if call_error is error:
                raise
            raise call_error from error
        finally:
            in_flight.dec()
            elapsed = time.perf_counter() - begin
            seconds.observe(elapsed)
            name = "OK" if code is None else code.name
            self._requests(method, name).inc()
            if code is not None:
                self._failures(method, name, "" if reason is None else reason.name).inc()
            if self._tracer is not None:
                end_server_span(current_call(), system, code, reason)
            if name in self._logged:
                log_call(method, name, reason, elapsed)

    def _arrived(self, values: Mapping[str, str], method: str, system: str) -> CallContext:
        call = arriving_call(values, CallFacts() if self._wants_facts else None)
        # A caller that traces and does not record this one has decided that for all who come after it.
        if self._tracer is None or (call.trace is not None and not call.trace.sampled):
            return call
        span = start_server_span(self._tracer, method, system, call)
        return replace(call, trace=span.trace, span=span if span.recording else None)


def _end_of_cancelled() -> tuple[Code, Reason | None]:
    """A handler is cancelled when the caller leaves and when the caller's deadline passes."""
    return (Code.DEADLINE_EXCEEDED, Reason.DEADLINE_PASSED) if remaining_seconds() == 0.0 else (Code.CANCELLED, None)


def _as_call_error(error: Exception, method: str) -> CallError:
    if isinstance(error, CallError):
        if error.code is Code.INTERNAL:
            _log.error("%s: %s", method, error)
        return error
    _log.error("%s failed", method, exc_info=error)
    message = "internal error; the server's log has the details under this call's x-request-id"
    return InternalError(message, reason=Reason.DEFECT)
