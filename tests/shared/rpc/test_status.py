"""The error table is total, both ways, and what an error knows travels with it."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from shared.codes import Code, Reason
from shared.errors import CALL_ERRORS, CallError, InvalidArgumentError, OverloadedError
from shared.rpc.status import details_trailer, error_details, from_rpc_error, status_code


def arrived(error: CallError, trailer: tuple[tuple[str, str | bytes], ...] | None = None) -> CallError:
    """The error as a client has it, after its status and its trailer were on the wire."""
    entries = grpc.aio.Metadata(*(details_trailer(error) if trailer is None else trailer))
    return from_rpc_error(
        grpc.aio.AioRpcError(status_code(error.code), grpc.aio.Metadata(), entries, details=str(error))
    )


def trailer_of(*details: error_details_pb2.ErrorInfo) -> tuple[tuple[str, str | bytes], ...]:
    """What another program may send."""
    status = status_pb2.Status()
    for detail in details:
        status.details.add().Pack(detail)
    return (("grpc-status-details-bin", status.SerializeToString()),)


def test_codes_are_those_of_grpc_less_ok_with_the_same_numbers() -> None:
    assert {(code.name, code.value) for code in Code} == {
        (code.name, code.value[0]) for code in grpc.StatusCode if code is not grpc.StatusCode.OK
    }


def test_every_code_has_a_class_and_a_wire_name() -> None:
    assert set(CALL_ERRORS) == set(Code)
    for code, error in CALL_ERRORS.items():
        assert error.code is code
        assert status_code(code).name == code.name


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.name)
def test_every_reason_arrives_with_class_and_message(reason: Reason) -> None:
    error = arrived(CALL_ERRORS[reason.code]("what happened", reason=reason))

    assert (type(error), str(error), error.reason) == (CALL_ERRORS[reason.code], "what happened", reason)


@pytest.mark.parametrize("code", Code, ids=lambda code: code.name)
def test_error_without_a_reason_arrives_without_one(code: Code) -> None:
    error = arrived(CALL_ERRORS[code]("what happened"))

    assert (error.code, str(error), error.reason) == (code, "what happened", None)


def test_field_at_fault_arrives() -> None:
    error = arrived(InvalidArgumentError("no", reason=Reason.FIELD_INVALID, field="images[3]"))

    assert isinstance(error, InvalidArgumentError)
    assert error.field == "images[3]"


def test_when_to_come_back_arrives() -> None:
    error = arrived(OverloadedError("full", reason=Reason.QUEUE_FULL, retry_after_seconds=1.25))

    assert isinstance(error, OverloadedError)
    assert error.retry_after_seconds == 1.25


@pytest.mark.parametrize(
    "info",
    [
        error_details_pb2.ErrorInfo(domain="other.example", reason="QUEUE_FULL"),
        error_details_pb2.ErrorInfo(domain="diptych", reason="REASON_OF_A_LATER_VERSION"),
    ],
    ids=("other domain", "unknown"),
)
def test_reason_that_is_not_one_of_ours_is_none(info: error_details_pb2.ErrorInfo) -> None:
    assert arrived(CALL_ERRORS[Code.UNAVAILABLE]("no"), trailer_of(info)).reason is None


def test_code_and_message_are_enough_where_a_program_sends_no_details() -> None:
    error = arrived(OverloadedError("received message larger than max"), ())

    assert isinstance(error, OverloadedError)
    assert (error.reason, error.retry_after_seconds) == (None, 0.0)


def test_limit_of_grpc_itself_is_passed_on_without_a_time_to_come_back() -> None:
    """With one, of 0 s, callers would try again what can never work."""
    error = arrived(OverloadedError("received message larger than max"), ())

    assert not any(isinstance(detail, error_details_pb2.RetryInfo) for detail in error_details(error))


@pytest.mark.parametrize("letter", ["x", "猫", "🐈"])
def test_longest_error_fits_the_headers_that_clients_take(letter: str) -> None:
    """8 KiB; gRPC writes each byte of a message that is not ASCII as three, and details in base64."""
    error = InvalidArgumentError(letter * 10_000, reason=Reason.FIELD_INVALID, field="label_encodings[255]")
    [(_, details)] = details_trailer(error)

    message = sum(1 if 0x20 <= byte <= 0x7E else 3 for byte in str(error).encode())
    assert message + len(details) * 4 / 3 < 7_000
