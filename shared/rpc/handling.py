"""What every call meets, whatever it came over; knows no servicer, and of gRPC only the names of its codes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import cache

from shared.codes import Code, Reason
from shared.errors import CallError, InternalError
from shared.metrics import RpcMetrics
from shared.rpc.calls_in_flight import CallsInFlight
from shared.rpc.context import CallContext, enter_call, read_call, remaining_seconds, requested_id

_log = logging.getLogger(__name__)


class CallHandling:
    """What every call meets, whatever it came over: context, counts, metrics, and for every exception an error of ours.

    Args:
        calls: what a drain waits for.
        metrics: RPCs by method and code.
    """

    def __init__(self, calls: CallsInFlight, metrics: RpcMetrics) -> None:
        self._calls = calls
        # prometheus-client looks a child up in microseconds, of which a refused call has few.
        self._of_method = cache(lambda method: (metrics.in_flight.labels(method), metrics.seconds.labels(method)))
        self._requests = cache(metrics.requests.labels)

    @asynccontextmanager
    async def handle(
        self, method: str, entries: Iterable[tuple[str, str | bytes]], time_remaining: float | None
    ) -> AsyncIterator[None]:
        """One call. Its context stays the task's current one afterwards, so that the answer can carry its id.

        Args:
            method: `package.Service/Method`; of a fixed set, since it labels metrics.
            entries: the call's metadata, keys in lower case.
            time_remaining: seconds until its deadline, None without one.

        Raises:
            CallError: whatever else an exception was inside; a cancellation passes as it is.
        """
        begin = time.perf_counter()
        code = "OK"
        in_flight, seconds = self._of_method(method)
        in_flight.inc()
        try:
            entries = tuple(entries)
            enter_call(CallContext(request_id=requested_id(entries)))  # so that refusals carry it too
            self._calls.enter()
            try:
                enter_call(read_call(entries, time_remaining))
                yield
            finally:
                self._calls.leave()
        except (asyncio.CancelledError, GeneratorExit):
            code = _reason_of_cancel().name
            raise
        except Exception as error:
            call_error = _as_call_error(error, method)
            code = call_error.code.name
            if call_error is error:
                raise
            raise call_error from error
        finally:
            in_flight.dec()
            seconds.observe(time.perf_counter() - begin)
            self._requests(method, code).inc()


def _reason_of_cancel() -> Code:
    """A handler is cancelled when the caller leaves and when the caller's deadline passes."""
    return Code.DEADLINE_EXCEEDED if remaining_seconds() == 0.0 else Code.CANCELLED


def _as_call_error(error: Exception, method: str) -> CallError:
    if isinstance(error, CallError):
        if error.code is Code.INTERNAL:
            _log.error("%s: %s", method, error)
        return error
    _log.error("%s failed", method, exc_info=error)
    message = "internal error; the server's log has the details under this call's x-request-id"
    return InternalError(message, reason=Reason.DEFECT)
