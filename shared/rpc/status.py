"""Errors to and from the wire: status codes, and google.rpc details for fields and retry times."""

from __future__ import annotations

import grpc
from google.protobuf import duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from shared.codes import Code, Reason
from shared.errors import CALL_ERRORS, CallError, InvalidArgumentError, OverloadedError

DOMAIN = "diptych"
"""Of our reasons in google.rpc.ErrorInfo."""
_DETAILS_KEY = "grpc-status-details-bin"
_WIRE: dict[Code, grpc.StatusCode] = {code: grpc.StatusCode[code.name] for code in Code}


def status_code(code: Code) -> grpc.StatusCode:
    """The wire's name of a code."""
    return _WIRE[code]


def details_trailer(error: CallError) -> tuple[tuple[str, str | bytes], ...]:
    """The `grpc-status-details-bin` entry of an error; empty where there is nothing more to say."""
    details = error_details(error)
    if not details:
        return ()
    status = status_pb2.Status(code=error.code.value, message=str(error))
    for detail in details:
        status.details.add().Pack(detail)
    return ((_DETAILS_KEY, status.SerializeToString()),)


def error_details(error: CallError) -> list[Message]:
    """The google.rpc details of an error: its reason, and a field violation or when to come back where it has them."""
    details: list[Message] = []
    if error.reason is not None:
        details.append(error_details_pb2.ErrorInfo(reason=error.reason.name, domain=DOMAIN))
    if isinstance(error, InvalidArgumentError) and error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=str(error))
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    elif isinstance(error, OverloadedError) and error.retry_after_seconds > 0:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_after_seconds * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return details


def from_rpc_error(error: grpc.RpcError) -> CallError:
    """The error a server raised, rebuilt from what arrived; of grpc.aio's errors and of those of a blocking call."""
    call: grpc.Call = error  # type: ignore[assignment]  # what raises it is a Call as well
    return _rebuild(Code[call.code().name], call.details() or "", _status(call))


def _status(call: grpc.Call) -> status_pb2.Status:
    for key, value in call.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            return status_pb2.Status.FromString(value)
    return status_pb2.Status()


def _rebuild(code: Code, message: str, status: status_pb2.Status) -> CallError:
    info, bad_request, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), None
    for packed in status.details:
        packed.Unpack(info)
        packed.Unpack(bad_request)
        retry_info = error_details_pb2.RetryInfo()
        retry = retry_info if packed.Unpack(retry_info) else retry
    reason = Reason.__members__.get(info.reason) if info.domain == DOMAIN else None
    if code is Code.INVALID_ARGUMENT:
        violations = bad_request.field_violations
        return InvalidArgumentError(message, reason=reason, field=violations[0].field if violations else "")
    if code is Code.RESOURCE_EXHAUSTED:
        seconds = retry.retry_delay.ToNanoseconds() / 1e9 if retry is not None else 0.0
        return OverloadedError(message, reason=reason, retry_after_seconds=seconds)
    return CALL_ERRORS[code](message, reason=reason)
