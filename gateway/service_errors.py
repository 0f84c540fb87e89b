"""The ends of calls to model services as the errors that our callers get: gRPC's become ours in this one place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from shared.codes import Code, Reason
from shared.errors import CALL_ERRORS, CallError, InternalError, OverloadedError, UnavailableError
from shared.rpc.status import from_rpc_error

_REASONS_OF_GRPC = {Code.UNAVAILABLE: Reason.NOT_SERVING, Code.DEADLINE_EXCEEDED: Reason.DEADLINE_PASSED}
"""Of errors that gRPC raised, not a service: a connection that is gone, a deadline that passed."""


@contextmanager
def translated_errors(service: str) -> Iterator[None]:
    """Turns the end of a call to a model service into the error that our caller gets.

    What the caller can mend keeps its words; all else names the service. Reasons stay; what gRPC itself says gets
    one. Two codes would mislead, since they speak of the gateway's call and not of the caller's: CANCELLED is a
    replica that was stopped, UNIMPLEMENTED a target that is another service.
    """
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise _translated(service, from_rpc_error(error)) from None  # in no variable: frame and error would be a circle


def _translated(service: str, error: CallError) -> CallError:
    if error.code is Code.INVALID_ARGUMENT:
        return error
    message = f"{service}: {error or error.code.name}"
    if error.code is Code.CANCELLED:
        return UnavailableError(message, reason=Reason.NOT_SERVING)
    if error.code is Code.UNIMPLEMENTED:
        return InternalError(f"{message}; is its target another service?", reason=Reason.DEFECT)
    reason = error.reason or _REASONS_OF_GRPC.get(error.code)
    if isinstance(error, OverloadedError):
        return OverloadedError(message, reason=reason, retry_after_seconds=error.retry_after_seconds)
    return CALL_ERRORS[error.code](message, reason=reason)
