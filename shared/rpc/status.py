"""Errors to and from the wire: status codes, and google.rpc details for fields and retry times."""

from __future__ import annotations

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from shared.errors import CALL_ERRORS, CallError, Code, InvalidArgumentError, OverloadedError

_WIRE: dict[Code, grpc.StatusCode] = {code: grpc.StatusCode[code.name] for code in Code}


def status_code(code: Code) -> grpc.StatusCode:
    """The wire's name of a code."""
    return _WIRE[code]


def details_trailer(error: CallError) -> tuple[tuple[str, str | bytes], ...]:
    """The `grpc-status-details-bin` entry of an error; empty where there is nothing more to say.

    InvalidArgumentError carries a BadRequest field violation, OverloadedError a RetryInfo.
    """
    if isinstance(error, InvalidArgumentError) and error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=str(error))
        detail = error_details_pb2.BadRequest(field_violations=[violation])
    elif isinstance(error, OverloadedError):
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_after_seconds * 1e9))
        detail = error_details_pb2.RetryInfo(retry_delay=delay)
    else:
        return ()
    packed = any_pb2.Any()
    packed.Pack(detail)
    status = status_pb2.Status(code=error.code.value, message=str(error), details=[packed])
    return tuple(rpc_status.to_status(status).trailing_metadata)


def from_rpc_error(error: grpc.aio.AioRpcError) -> CallError:
    """The error a server raised, rebuilt from what arrived."""
    return _rebuild(Code[error.code().name], error.details() or "", _details(error))


def _details(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            return status_pb2.Status.FromString(value)
    return status_pb2.Status()


def _rebuild(code: Code, message: str, details: status_pb2.Status) -> CallError:
    if code is Code.INVALID_ARGUMENT:
        bad_request = error_details_pb2.BadRequest()
        for detail in details.details:
            if detail.Unpack(bad_request) and bad_request.field_violations:
                return InvalidArgumentError(message, field=bad_request.field_violations[0].field)
        return InvalidArgumentError(message)
    if code is Code.RESOURCE_EXHAUSTED:
        retry_info = error_details_pb2.RetryInfo()
        for detail in details.details:
            if detail.Unpack(retry_info):
                seconds = retry_info.retry_delay.ToNanoseconds() / 1e9
                return OverloadedError(message, retry_after_seconds=seconds)
        return OverloadedError(message)
    error = CallError.__new__(CALL_ERRORS[code])
    Exception.__init__(error, message)
    return error
